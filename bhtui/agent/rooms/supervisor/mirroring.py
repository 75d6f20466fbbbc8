"""Mirrors one unit or container: its driver, with the same surface as that of a process of ours.

It observes whenever the manager says that something may have changed, and now and then in case nobody said so; asks for
what the mirror wants asked; and keeps limits, measurements and log in step with what is seen. At most one observation
waits in the mailbox, whatever the manager does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bhtui.agent import command
from bhtui.agent.foreign.absent import Absent
from bhtui.agent.foreign.model import Hold, Observation, Subject
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.spec import LimitsSpec, ServiceSpec
from bhtui.core.states import State

from . import mirror, spawning
from .driver import TAIL_LINES, Driver
from .effects import AskManager, Effect, Timer
from .exits import signal_number
from .instance import Instance, Moved, limits_text
from .managerholds import ManagerHolds
from .model import Verdict
from .owner import Letter, StateEvent
from .tools import Tools

log = logging.getLogger(__name__)

RESYNC = 30.0
"""Seconds after which it is observed although nobody said that it changed."""
UNANSWERED = 5.0
"""The same, while its manager does not answer."""
FIRST = 5.0
"""Seconds for which the agent's start waits for the first answer of a manager."""
SETTLING = 0.05
"""Seconds for which a burst of changes is gathered into one observation."""
NO_LIMITS = LimitsSpec()


class Mirroring(Driver):
    """Owns one instance that its manager supervises."""

    def __init__(self, instance: Instance, log_path: Path, tools: Tools) -> None:
        super().__init__(instance, log_path, tools)
        self._changed, self._seen = asyncio.Event(), asyncio.Event()
        manager = tools.managers.get(instance.spec.kind) or Absent("this agent knows no manager of its kind")
        self._subject: Subject = manager.subject(instance.spec, self._changed.set)
        self._hold_turn = asyncio.Lock()
        self._windows = ManagerHolds(self, self._subject, tools)
        self._at_end = False
        self.hold_now: Hold | None = None
        """Where its limits are held since this agent has set them."""

    def begin(self, record: Mapping[str, Any] | None) -> None:
        """Observes from now on, going on from what an earlier agent recorded."""
        if record is not None:
            self.instance = mirror.known_before(self.instance, record)
        self._subject.capture(self.log_path, self.instance.spec.rotate, self.instance.spec.rate_limit)
        rebooted = record is not None and record["boot"] != self._tools.keeper.boot_id
        self._errand(self._observe_for_ever(record is not None, rebooted))

    async def first_seen(self) -> None:
        """Waits until it has been observed once, at most FIRST seconds."""
        try:
            async with asyncio.timeout(FIRST):
                await self._seen.wait()
        except TimeoutError:
            log.warning("%s: its manager has not answered within %g s", self.instance.name, FIRST)

    def retire(self) -> None:
        """Lets go of it; it runs on."""
        super().retire()
        self._tools.usage.forget(self.instance.name)
        self._tools.limits.follow(self.instance.name, "")
        task = asyncio.get_running_loop().create_task(self._let_go())
        self._closing = task  # held, so that it is not collected before its end

    async def _let_go(self) -> None:
        if not self._at_end:  # the next agent goes on with it
            await self._windows.give_back()
        await self._subject.close()

    async def close(self) -> None:
        self._at_end = True
        await super().close()
        await asyncio.gather(self._closing, return_exceptions=True)

    # ---- what people and the room ask ----------------------------------------------------------------------------

    async def start(self, by: str, environment: Mapping[str, str]) -> Instance:  # noqa: ARG002 - it has its own
        return await self.ask(
            lambda i: mirror.on_start_asked(i, by, self._tools.waiting_for(i, False), self._tools.clock())
        )

    async def restart(self, by: str) -> Instance:
        """Wants it to run anew. Raises Refused."""
        return await self.ask(lambda i: mirror.on_restart_asked(i, by, self._tools.clock()))

    async def stop(self, grace: float | None) -> Instance:
        return await self.ask(lambda i: mirror.on_stop_asked(i, grace, self._tools.clock()))

    def kill(self) -> None:
        self.post(lambda i: mirror.on_stop_asked(i, 0.0, self._tools.clock()))

    async def signal(self, name: str) -> None:
        await self._subject.signal(signal_number(name))

    async def take_spec(self, spec: ServiceSpec, declared: bool, later: bool) -> None:  # noqa: ARG002
        before = self.instance.spec
        await self.ask(lambda i: mirror.on_spec_changed(i, spec, declared))
        if (before.rotate, before.rate_limit) != (spec.rotate, spec.rate_limit):
            self._subject.capture(self.log_path, spec.rotate, spec.rate_limit)
        if declared and before.limits != spec.limits:
            self._errand(self._hold())

    def dependencies_changed(self) -> None:
        self.post(lambda i: mirror.on_dependencies(i, self._tools.waiting_for(i, False), self._tools.clock()))

    def holds_changed(self) -> None:
        if self._windows.concerns:
            self._errand(self._windows.settle())

    def clock_set(self, step_ns: int) -> None:
        """Since when it runs its manager tells; when that was seen is ours."""
        self.post(lambda i: (replace(i, since_ns=i.since_ns + step_ns), ()))
        self._changed.set()

    async def give_back(self) -> None:
        """The agent ends for good: what a maintenance window holds of its manager's restarts is put back."""
        await self._windows.give_back()

    # ---- observing -----------------------------------------------------------------------------------------------

    async def _observe_for_ever(self, known: bool, rebooted: bool) -> None:
        seen, tail = await self._look()
        now, held = self._tools.clock, self._held
        await self._hand_in(lambda i: mirror.on_adopted(i, known, seen, tail, now(), held(), rebooted), seen)
        self._seen.set()
        self._errand(self._windows.settle())
        held_run = await self._hold_run(None)
        while True:
            try:
                async with asyncio.timeout(RESYNC if seen.state else UNANSWERED):
                    await self._changed.wait()
            except TimeoutError:
                log.debug("%s: nobody said that it changed; it is looked at all the same", self.instance.name)
            await asyncio.sleep(SETTLING)
            self._changed.clear()
            seen, tail = await self._look()
            await self._hand_in(self._observed(seen, tail), seen)
            held_run = await self._hold_run(held_run)

    async def _hold_run(self, held_run: str | None) -> str:
        """Holds each run to its limits: some managers forget them with the run before. The run that is held now.

        Never because of an observation alone: setting limits is a change that is observed again.
        """
        i = self.instance
        is_new = held_run is None or (i.run != held_run and i.state in (State.STARTING, State.RUNNING))
        if self._has_limits() and (is_new or self.hold_now is None):
            await self._hold()
        if is_new and i.state in (State.STARTING, State.RUNNING):
            await self._prioritise()
        if is_new and self._windows.concerns:  # a container that was made anew restarts as that says
            self._errand(self._windows.settle())
        return i.run

    async def _prioritise(self) -> None:
        """Gives what runs now its declared priorities: its manager gives the next run those of its own."""
        i, limits = self.instance, self._limits()
        if i.pid is None or (limits.nice is None and limits.ionice is None):
            return
        problems = await asyncio.to_thread(self._tools.limits.prioritise, i.name, i.pid, limits)
        if problems:
            message = f"{i.name} runs without its priorities: {limits_text(problems)}"
            self._tools.record(i.name, EventKind.LIMITS_NOT_HELD, message, dict(problems))

    async def _look(self) -> tuple[Observation, tuple[str, ...]]:
        """How it is, and the last lines of its log when they tell why it does not run."""
        seen, i = await self._observe(), self.instance
        fell = seen.state in (State.FAILED, State.BACKOFF) and (i.state is not seen.state or i.run != seen.run)
        return seen, await self._subject.tail(TAIL_LINES) if fell else ()

    async def _observe(self) -> Observation:
        try:
            return await self._subject.observe(self.instance.restarts_before)
        except Exception as fault:
            # A fault of ours in one observation must not end the watch; that nothing is known is shown.
            log.exception("%s: it could not be observed", self.instance.name)
            return Observation(None, text=f"it could not be observed: {type(fault).__name__}; see the agent's log")

    def _observed(self, seen: Observation, tail: tuple[str, ...]) -> StateEvent:
        return lambda i: mirror.on_observed(i, seen, tail, self._tools.clock(), self._held())

    async def _hand_in(self, event: StateEvent, seen: Observation) -> None:
        """Waits until it has been taken, so that never more than one observation waits."""
        self._tools.limits.follow(self.instance.name, seen.cgroup if seen.state is not State.STOPPED else "")
        taken: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._answers.add(taken)
        self._mailbox.put_nowait(Letter(event, taken))
        try:
            await taken
        except BlackholeError as error:  # a fault in one observation must not end the watch
            log.error("%s: what was observed was not taken: %s", self.instance.name, error)
        finally:
            self._answers.discard(taken)

    def _measure(self, before: Instance) -> None:
        now, was = self.instance, before
        is_down = now.state is State.STOPPED and was.state is not State.STOPPED
        if is_down or (now.pid is None and was.pid is not None):
            self._tools.usage.forget(now.name)
        elif now.pid is not None and (now.pid, now.run) != (was.pid, was.run):
            self._tools.usage.track(now.name, now.pid)

    def _on_health(self, i: Instance, verdict: Verdict) -> Moved:
        return mirror.on_health(i, verdict.health, verdict.detail, self._tools.clock())

    def _timer_event(self, i: Instance, timer: Timer, incarnation: int) -> Moved:
        if timer is Timer.READY and i.incarnation == incarnation and timer not in self._timers:
            return mirror.on_start_timeout(i)
        return super()._timer_event(i, timer, incarnation)

    # ---- asking --------------------------------------------------------------------------------------------------

    async def _perform(self, effect: Effect) -> None:
        if isinstance(effect, AskManager):
            self._errand(self._ask_manager(effect))
        else:
            await super()._perform(effect)

    async def _ask_manager(self, wanted: AskManager) -> None:
        error = ""
        try:
            if wanted.verb != mirror.STOP and self._has_limits():
                await self._hold()  # before it runs
            match wanted.verb:
                case mirror.START:
                    await self._subject.start()
                case mirror.RESTART:
                    await self._subject.restart()
                case _:
                    await self._subject.stop(wanted.grace)
        except BlackholeError as refused:
            error = str(refused)
        except Exception as fault:
            # A fault of ours is told as the reason too, or it would be starting for ever.
            log.exception("%s: asking its manager to %s it failed", self.instance.name, wanted.verb)
            error = f"{type(fault).__name__}: {fault}; see the agent's log"
        seen, tail = await self._look()
        now, held = self._tools.clock, self._held
        await self._hand_in(lambda i: mirror.on_answered(i, wanted.verb, error, seen, tail, now(), held()), seen)

    async def _here(self) -> command.Setting:
        """Commands of its probe run as the agent's own user."""
        spec = replace(self.instance.spec, user="", secrets={})
        i = replace(self.instance, spec=spec)
        return await asyncio.to_thread(spawning.setting, i, self._tools.environ)

    # ---- limits --------------------------------------------------------------------------------------------------

    def _limits(self) -> LimitsSpec:
        return self._tools.limits.effective(self.instance.spec).limits

    def _has_limits(self) -> bool:
        return self._limits() != NO_LIMITS or bool(self.instance.hold_before)

    async def hold(self) -> Hold:
        """Holds it to the limits in force. Raises BlackholeError when its manager cannot be asked."""
        async with self._hold_turn:
            i = self.instance
            held = await self._subject.hold(self._limits(), i.spec.disk_paths, i.hold_before)
            self.hold_now = held
            told = limits_text(held.not_held)

            def note(i: Instance) -> Moved:
                return replace(i, held_by=held.held_by, not_held=told, hold_before=dict(held.before)), ()

            await self.ask(note)
            return held

    async def _hold(self) -> None:
        """As `hold`, for declared limits; what is not held is an event."""
        name, before = self.instance.name, self.hold_now
        try:
            held = await self.hold()
            not_held, told = dict(held.not_held), limits_text(held.not_held)
        except BlackholeError as error:
            not_held, told = {"all": str(error)}, str(error)
        if told and (before is None or before.not_held != not_held):
            message = f"{name} runs with limits that are not held: {told}"
            self._tools.record(name, EventKind.LIMITS_NOT_HELD, message, not_held)
