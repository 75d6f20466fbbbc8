"""The kinds of steps of this room, do and undo side by side. Each may run again after a crash of the agent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, RetryAfter, StepKind, WaitFor
from bhtui.core import codec
from bhtui.core.errors import BlackholeError, NotFound
from bhtui.core.operation import NEVER_RAN, NONE_BEFORE, RAN_BEFORE
from bhtui.core.override import PRIORITIES, Override, from_args
from bhtui.core.spec import Condition, LimitsSpec, ProbeKind
from bhtui.core.states import Goal, Health, Result, State

from .builder import APPLY, HOLD, SWITCH
from .gates import WELL, WORDS, reached
from .instance import Instance, leftover_text
from .livelimits import changed
from .moves import SETTLE
from .restart import seconds_text
from .room import Supervisor

EARLY_EXITS = 3
"""A start has failed when its instance ended so many times in a row before it was ready."""


def kinds(room: Supervisor) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [
        StepKind("service.start", s.start, s.unstart, timeout_reason="it did not become ready"),
        StepKind("service.stop", s.stop, s.unstop, timeout_reason="it does not end, not even when it is killed"),
        StepKind("service.kill", s.kill, NoUndo("what was killed stays down"), timeout_reason="it does not end"),
        StepKind("service.reload", s.reload, NoUndo("what was read cannot be unread; its own files are as they are")),
        StepKind(HOLD, s.hold, s.unhold, timeout_reason="its process is not there yet"),
        StepKind("service.wait", s.wait, NoUndo("waiting changes nothing"), timeout_reason="it has not come so far"),
        StepKind("hold.lift", s.lift, NoUndo("holding everything down again would end nothing that is wrong")),
        StepKind(APPLY, s.apply, s.unapply),
        StepKind(SWITCH, s.apply, s.unapply, undo_first=True),
        StepKind("service.scale", s.scale, s.unscale),
    ]


class _Steps:
    def __init__(self, room: Supervisor) -> None:
        self._room = room

    # ---- service.start -------------------------------------------------------------------------------------------

    async def start(self, call: Call) -> Outcome:
        """Done when it is running and, if it has a probe, healthy; or has completed with success."""
        i = self._room.driver(call.target).instance
        # The instance itself remembers who asked, so a crash between asking and committing asks only once.
        if "asked" not in call.learned and i.asked_by != call.operation_id:
            if call.args.get("again"):
                i = await self._room.restart(call.target, call.operation_id)
            else:
                i = await self._room.start(call.target, call.operation_id, call.args.get("environment"))
        return self._progress(i, call)

    def _progress(self, i: Instance, call: Call) -> Outcome:
        learned: dict[str, Any] = {"asked": True}
        is_bare = i.state is State.RUNNING and i.spec.probe.kind is ProbeKind.NONE
        # Once waited for is enough: the clock may have been set back since its start.
        waited = call.learned.get("settling") == i.incarnation
        left = 0.0 if waited else min(SETTLE, SETTLE - self._room.settled(i))
        if is_bare and left <= 0:
            return Done(learned, f"pid {i.pid}" if i.pid is not None else "it runs, as its manager says")
        if reason := failure(i):
            raise BlackholeError(reason)
        if i.completed:
            return Done(learned, f"completed: {i.exit_text}")
        if is_bare:
            return RetryAfter(left, "it has just started", {**learned, "settling": i.incarnation})
        if i.state is State.RUNNING and i.health in WELL:
            return Done(learned, f"{i.health} after {seconds_text(self._room.uptime(i))}, pid {i.pid}")
        return WaitFor(waits_for(i), learned, about=i.name)

    async def unstart(self, call: Call) -> Outcome:
        """Stops what this operation started, and only that."""
        try:
            i = self._room.driver(call.target).instance
        except NotFound:
            return Done(detail="it is gone")
        if i.asked_by != call.operation_id and i.goal is Goal.UP:
            return Done(detail=RAN_BEFORE)
        never_ran = i.result is Result.SPAWN_ERROR and i.pid is None
        outcome = await self._stop(call, None)
        return replace(outcome, detail=NEVER_RAN) if never_ran and isinstance(outcome, Done) else outcome

    # ---- hold.lift -----------------------------------------------------------------------------------------------

    async def lift(self, _: Call) -> Outcome:
        """Lets services start again after an emergency stop."""
        await self._room.lift_hold()
        return Done()

    # ---- service.stop, service.kill ------------------------------------------------------------------------------

    async def stop(self, call: Call) -> Outcome:
        """Done when no process of it is left."""
        return await self._stop(call, call.args.get("grace"))

    async def kill(self, call: Call) -> Outcome:
        """As stop, without grace; where all is killed, by one blow to everything on this host."""
        if call.args.get("everything") and "stopping" not in call.learned:
            await self._room.kill_everything()
        return await self._stop(call, 0.0)

    async def _stop(self, call: Call, grace: float | None) -> Outcome:
        try:
            i = self._room.driver(call.target).instance
            if "stopping" in call.learned and i.spec.is_foreign and i.stop_trouble and i.goal is Goal.UP:
                raise BlackholeError(i.stop_trouble)  # its manager has refused
            if "stopping" not in call.learned or i.goal is Goal.UP:
                i = await self._room.stop(call.target, grace)
        except NotFound:
            return Done(detail="it is gone")
        if i.state is State.STOPPED:
            return Done({"stopping": True}, "; ".join(filter(None, (i.exit_text, i.stop_trouble, leftover_text(i)))))
        return WaitFor("its process to end", {"stopping": True}, about=i.name)

    async def unstop(self, call: Call) -> Outcome:
        """Starts it again if it was to be up before."""
        if not call.args.get("restore"):
            return Done(detail="it stays stopped")
        i = self._room.driver(call.target).instance
        if "asked" not in call.learned and i.asked_by != call.operation_id:
            i = await self._room.start(call.target, call.operation_id)
        return self._progress(i, call)

    # ---- service.reload ------------------------------------------------------------------------------------------

    async def reload(self, call: Call) -> Outcome:
        """Done when it still runs a moment after its signal, or says by its contract that it has done so."""
        i, told = self._room.driver(call.target).instance, call.learned.get("pid")
        if i.pid is not None and (address := call.args.get("contract")):
            return Done(detail=await self._room.reload_by_contract(i.name, address))
        if told is not None and i.pid != told:
            raise BlackholeError(f"cannot reload {i.name}: it ended after {call.args['signal']}: {i.ended}")
        if i.pid is None:
            return Done(detail="it does not run")
        if told is not None:
            return Done(detail=f"pid {i.pid}")
        await self._room.signal(call.target, call.args["signal"])
        return RetryAfter(SETTLE, "it reads its configuration", {"pid": i.pid})

    # ---- service.hold --------------------------------------------------------------------------------------------

    async def hold(self, call: Call) -> Outcome:
        """Holds what runs to the limits that are declared now."""
        return await self._hold(call, "limits", "before")

    async def unhold(self, call: Call) -> Outcome:
        """Back to the limits that were declared before."""
        return await self._hold(call, "before", "limits")

    async def _hold(self, call: Call, to: str, instead_of: str) -> Outcome:
        new, old = (codec.decode(LimitsSpec, call.args[key]) for key in (to, instead_of))
        try:
            i = self._room.driver(call.target).instance
            if i.state is State.STARTING and i.pid is None:
                return RetryAfter(SETTLE, "it is just being started")
            priorities = bool(changed(old, new, PRIORITIES))
            return Done(detail=await self._room.driver(call.target).hold_to(new, priorities))
        except NotFound:
            return Done(detail="it is gone")

    # ---- service.wait --------------------------------------------------------------------------------------------

    async def wait(self, call: Call) -> Outcome:
        """Done when the instance is as a dependent needs it."""
        i, condition = self._room.driver(call.target).instance, Condition(call.args["condition"])
        if reached(i, condition):
            return Done()
        if i.state is State.FAILED:
            raise BlackholeError(f"{i.name} has failed: {i.last_error}")
        return WaitFor(f"{i.name} to be {WORDS[condition]} (it is {i.state})", about=i.name)

    # ---- service.scale -------------------------------------------------------------------------------------------

    async def scale(self, call: Call) -> Outcome:
        """Keeps the number of instances, or takes it back to what is declared. Starts and stops nothing."""
        value = call.args["value"]
        wanted = None if value is None else Override(value, call.actor_name, self._room.now())
        await self._room.scale(call.target, wanted)
        return Done()

    async def unscale(self, call: Call) -> Outcome:
        """The number from before holds again."""
        await self._room.scale(call.target, from_args(call.args["before"]))
        return Done()

    # ---- spec.apply, spec.switch ---------------------------------------------------------------------------------

    async def apply(self, call: Call) -> Outcome:
        """Puts the configuration in force. What runs is not touched; instances that wait for their turn see nothing."""
        await self._put_in_force(call.args["yaml"], call.args["path"], call.args.get("later", ()))
        return Done()

    async def unapply(self, call: Call) -> Outcome:
        """Puts the one before in force again."""
        if not call.args["old_yaml"]:
            return Done(detail=NONE_BEFORE)
        await self._put_in_force(call.args["old_yaml"], call.args["old_path"], call.args.get("later", ()))
        return Done()

    async def _put_in_force(self, yaml: str, path: str, later: Collection[str]) -> None:
        spec, text = self._room.config.candidate(yaml, path)
        self._room.config.adopt(spec, text)
        await self._room.apply(spec, later)


def failure(i: Instance) -> str:
    """Why a start has failed, with the last log lines; empty while there is hope."""
    ended, tail = i.ended, i.last_error.split("\n")[1:]
    if i.state is State.STOPPED and i.goal is Goal.DOWN:
        return f"cannot start {i.name}: it was stopped meanwhile"
    if i.held and i.state is State.BACKOFF:
        return "\n".join((f"cannot start {i.name}: {ended}; it is not tried again: {i.held}", *tail))
    ended_so = i.state is State.BACKOFF and i.result in (Result.SPAWN_ERROR, Result.START_TIMEOUT)
    rests = i.state in (State.FAILED, State.STOPPED) and not i.completed
    rests = rests or (i.spec.is_foreign and i.state is State.STARTING and i.result is Result.START_TIMEOUT)
    if not (rests or ended_so or (i.early_exits >= EARLY_EXITS and i.state is not State.STOPPING)):
        return ""
    if i.early_exits > 1:
        ended = f"ended {i.early_exits} times before it was ready, the last time: {ended}"
    ended = ended.removeprefix("cannot start ").removeprefix(f"{i.service}: ")  # that is said once
    return "\n".join((f"cannot start {i.name}: {ended}", *tail))


def waits_for(i: Instance) -> str:
    """What a start waits for now."""
    if i.waiting_for:
        return f"waiting for {i.waiting_for}"
    if i.state is State.BACKOFF:
        return i.last_error.split("\n")[0]
    said = f": {i.health_detail}" if i.health_detail else ""
    if i.state is State.RUNNING and i.health is Health.UNKNOWN:
        return "its first probe"
    return f"it is {i.state}{said}"
