"""Moves one process: does what the machine asks for, and nothing else decides.

Timers, exits and probes of an earlier incarnation are dropped when they are taken from the mailbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bhtui.agent import command
from bhtui.agent.keeper import Exit as KeptExit
from bhtui.agent.keeper import KeeperError, KeeperLost, SpawnRequest
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import LimitsSpec, ServiceSpec
from bhtui.core.states import State

from . import machine, spawning
from .effects import (
    AskManager,
    Effect,
    ForgetHealth,
    Ignored,
    KillTree,
    Record,
    Refusal,
    RunStopCommand,
    Signal,
    Spawn,
    StartTimer,
    StopTimer,
    Timer,
    WatchHealth,
)
from .exits import Exit, signal_number
from .instance import Instance, Moved, limits_text
from .model import Prepared, Verdict
from .owner import Owner
from .tools import Tools

log = logging.getLogger(__name__)

TAIL_LINES = 5
KILL_AGAIN = 1.0
"""Seconds to the next try when the keeper did not kill a process that still runs."""


class Driver(Owner):
    """Owns one instance that is a process of ours."""

    def __init__(self, instance: Instance, log_path: Path, tools: Tools) -> None:
        super().__init__(instance, tools)
        self.log_path = log_path
        self.ignored = 0
        self._verdict: Verdict | None = None
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._oom_before = 0

    def retire(self) -> None:
        """Lets go of it; its process runs on."""
        super().retire()
        for timer in self._timers.values():
            timer.cancel()
        self._tools.health.forget(self.instance.name)

    # ---- what people and the room ask ----------------------------------------------------------------------------

    async def start(self, by: str, environment: Mapping[str, str]) -> Instance:
        """Wants it up. Raises Refused."""
        clock, waiting_for = self._tools.clock, self._tools.waiting_for
        return await self.ask(lambda i: machine.on_start_asked(i, by, environment, waiting_for(i, False), clock()))

    async def stop(self, grace: float | None) -> Instance:
        """Wants it down; grace 0: killed at once."""
        return await self.ask(lambda i: machine.on_stop_asked(i, grace, self._tools.clock()))

    def kill(self) -> None:
        """As `stop` without grace, for a caller that cannot wait."""
        self.post(lambda i: machine.on_stop_asked(i, 0.0, self._tools.clock()))

    async def signal(self, name: str) -> None:
        """Sends its main process a signal (`SIGHUP`). Raises BlackholeError when it has none."""
        await self._tools.keeper.signal(self.instance.key, signal_number(name))

    async def take_spec(self, spec: ServiceSpec, declared: bool, later: bool) -> None:
        """Another configuration was applied; `later`: it is to be restarted, and goes on as it is until then."""
        await self.ask(lambda i: machine.on_spec_changed(i, spec, declared, later))
        await self.bound_log()

    async def bound_log(self) -> None:
        """Holds the log of what runs to the bounds that are declared now."""
        i = self.instance
        if i.pid is None:
            return
        try:
            await self._tools.keeper.bound(i.key, spawning.log_spec(i.spec, self.log_path))
        except KeeperError as error:
            log.warning("%s: its log keeps its bounds until the next start: %s", i.name, error)

    async def take_verdict(self, incarnation: int, verdict: Verdict) -> None:
        """What its probe says that was asked between times."""
        await self.ask(lambda i: self._on_health(i, verdict) if i.incarnation == incarnation else (i, ()))

    def limits_held(self, held_by: str, not_held: Mapping[str, str]) -> None:
        """Takes note of what holds its limits, which were set anew."""
        self.post(lambda i: machine.on_limits_set(i, held_by, not_held))

    async def hold_to(self, limits: LimitsSpec, priorities: bool) -> str:
        """Holds its process to these declared limits; what is not held, in words. Raises BlackholeError.

        `priorities`: to its priorities too; else those that it gave itself stay.
        """
        i, held = self.instance, self._tools.limits
        if i.pid is None:
            return "it does not run"
        own = replace(i.spec, limits=limits)
        effective = held.effective(own)
        prepared = held.prepare(i.name, effective.limits, effective.disk_paths)
        for refused in prepared.refused:
            raise BlackholeError(f"cannot hold {i.name} to its limit of {refused}: {prepared.not_held[refused]}")
        problems = held.prioritise(i.name, i.pid, effective.limits) if priorities else {}
        for what, why in problems.items():
            raise BlackholeError(f"cannot set the {what} of {i.name}: {why}")
        await self._take_limits(i.incarnation, own, prepared.held_by, prepared.not_held)
        return limits_text(prepared.not_held) or "held"

    async def _take_limits(
        self, incarnation: int, spec: ServiceSpec, held_by: str, not_held: Mapping[str, str]
    ) -> None:
        """Its process is held to the limits of another spec, which for the rest is the one it was started with."""
        await self.ask(
            lambda i: (
                machine.on_limits_applied(i, spec, held_by, not_held)
                if i.incarnation == incarnation
                else (i, (Ignored("that was another process"),))
            )
        )

    def dependencies_changed(self) -> None:
        """Something it depends on is in another state."""
        self.post(lambda i: machine.on_dependencies(
            i, self._tools.waiting_for(i, i.state is State.BACKOFF), self._tools.clock(), self._held()
        ))  # fmt: skip

    def clock_set(self, step_ns: int) -> None:
        """The host's clock was put forward by so much."""
        self.post(lambda i: machine.on_clock_set(i, step_ns))

    def holds_changed(self) -> None:
        """Maintenance windows have opened or closed."""
        if self.instance.held:
            self.post(lambda i: machine.on_holds_changed(
                i, self._held(), self._tools.waiting_for(i, i.state is State.BACKOFF), self._tools.clock()
            ))  # fmt: skip

    def _held(self) -> str:
        return self._tools.held(self.instance.service)

    async def exited(self, incarnation: int, ended: KeptExit) -> None:
        """Its process has ended; gathers what tells why."""
        exit_ = await self.explain(incarnation, ended)
        self.post(lambda i: machine.on_exited(i, exit_, self._tools.clock(), self._tools.chance()))

    async def explain(self, incarnation: int, ended: KeptExit) -> Exit:
        """The exit with the last log lines, and whether memory was the cause."""
        seen = self._oom_before
        # When the clock has just been set back, its lines bear times before its start.
        since = min(self.instance.started_ns, ended.time_ns or self._tools.clock())
        lines = await self._tools.tail(self.log_path, TAIL_LINES, since)
        oom = self._tools.limits.oom_kills(self.instance.name) > seen
        return Exit(incarnation, ended.code, ended.signal, oom, lines, ended.time_ns, ended.lived)

    def on_exit(self, incarnation: int, ended: KeptExit) -> None:
        """As `exited`, for a caller that cannot wait."""
        self._errand(self.exited(incarnation, ended))

    def _on_verdict(self, incarnation: int, verdict: Verdict) -> None:
        """Only the newest verdict matters, so at most one waits."""
        waiting, self._verdict = self._verdict is not None, verdict
        if not waiting:
            self.post(lambda i: self._take_verdict(i, incarnation))

    def _take_verdict(self, i: Instance, incarnation: int) -> Moved:
        verdict, self._verdict = self._verdict, None
        if verdict is None or i.incarnation != incarnation:
            return i, (Ignored("the verdict is about an earlier process"),)
        return self._on_health(i, verdict)

    def _on_health(self, i: Instance, verdict: Verdict) -> Moved:
        return machine.on_health(i, verdict.health, verdict.detail, self._tools.clock(), self._held())

    def _ring(self, timer: Timer, incarnation: int) -> None:
        self._timers.pop(timer, None)
        self.post(lambda i: self._timer_event(i, timer, incarnation))

    def _timer_event(self, i: Instance, timer: Timer, incarnation: int) -> Moved:
        if i.incarnation != incarnation or timer in self._timers:  # late, or started anew meanwhile
            return i, (Ignored("a late timer"),)
        now = self._tools.clock()
        match timer:
            case Timer.READY:
                return machine.on_start_timeout(i, now)
            case Timer.GRACE:
                return machine.on_grace_over(i, now)
            case Timer.BACKOFF:
                return machine.on_backoff_over(i, self._tools.waiting_for(i, True), now, self._held())

    # ---- the loop ----------------------------------------------------------------------------------------------

    def _measure(self, before: Instance) -> None:
        pid = self.instance.pid
        if pid is None and before.pid is not None:
            self._tools.usage.forget(before.name)
        elif pid is not None and pid != before.pid:
            self._tools.usage.track(before.name, pid)
            if before.state is not State.STARTING:  # adopted: what was killed before was told before
                self._oom_before = self._tools.limits.oom_kills(before.name)

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case Spawn():
                await self._spawn()
            case Signal(name):
                await self._signal(name)
            case RunStopCommand(argv, timeout):
                self._errand(self._run_stop_command(argv, timeout))
            case KillTree(incarnation):
                await self._kill_tree(incarnation)
            case StartTimer(timer, delay, incarnation):
                self._start_timer(timer, delay, incarnation)
            case StopTimer(timer):
                if handle := self._timers.pop(timer, None):
                    handle.cancel()
            case WatchHealth(incarnation, starting):
                self._watch(incarnation, starting)
            case ForgetHealth():
                self._tools.health.forget(self.instance.name)
            case Record(kind, message, data):
                self._tools.record(self.instance.name, kind, message, data)
            case Ignored(reason):
                self.ignored += 1
                log.debug("ignored: %s", reason)
            case Refusal() | AskManager():
                raise AssertionError(f"{effect} is not to be performed here")

    # ---- effects -----------------------------------------------------------------------------------------------

    async def _spawn(self) -> None:
        instance = self.instance
        try:
            await self._tools.clearing.settle(instance.name)
            # What is declared stays in the instance: an override is not another configuration.
            instance = replace(instance, spec=self._tools.limits.effective(instance.spec))
            prepared = self._tools.limits.prepare(instance.name, instance.spec.limits, instance.spec.disk_paths)
            ours = None if self._tools.siblings_live(instance) else self._tools.pids()
            around = self._tools.surroundings(instance.spec)
            request = await asyncio.to_thread(self._build, instance, prepared, ours, around)
            self._oom_before = self._tools.limits.oom_kills(instance.name)
            kept = await self._tools.keeper.spawn(request)
        except (BlackholeError, OSError) as error:
            if isinstance(error, KeeperLost):
                self._tools.clearing.doubt(instance.key)
            await self._spawn_failed(str(error))
            return
        except Exception as error:
            # A fault of ours is told as the reason too, or it would be starting for ever.
            log.exception("%s: the start failed", instance.name)
            await self._spawn_failed(f"{type(error).__name__}: {error}; see the agent's log")
            return
        now, held_by, not_held = self._tools.clock(), prepared.held_by, prepared.not_held
        await self._apply(lambda i: machine.on_spawned(i, kept.pid, kept.spawned_ns, now, held_by, not_held))

    async def _spawn_failed(self, reason: str) -> None:
        await self._apply(lambda i: machine.on_spawn_failed(i, reason, self._tools.clock(), self._tools.chance()))
        self._release_limits()

    def _build(
        self, instance: Instance, prepared: Prepared, ours: set[int] | None, around: Mapping[str, str]
    ) -> SpawnRequest:
        """In a thread: it reads files, and a user may be looked up by the network. `ours` None: shared ports."""
        if ours is not None:
            spawning.check_ports(instance.spec, ours)
        return spawning.build(instance, prepared, self.log_path, self._tools.environ, around)

    async def _signal(self, name: str) -> None:
        try:
            await self._tools.keeper.signal(self.instance.key, signal_number(name))
        except BlackholeError as error:  # it has just ended by itself; if not, the grace timer sees to it
            log.info("%s: %s", self.instance.name, error)

    async def _run_stop_command(self, argv: tuple[str, ...], timeout: float) -> None:
        """When it fails, the signal does the work."""
        instance = self.instance
        try:
            here = await self._here()
            here = replace(here, env={**here.env, "MAINPID": str(instance.pid)})
            said = await command.run(argv, here, timeout=timeout)
        except BlackholeError as error:
            said = command.Said(False, str(error))
        if not said.ok:
            text, incarnation = said.text, instance.incarnation
            self.post(lambda i: machine.on_stop_command_failed(i, text, incarnation, self._tools.clock()))

    async def _here(self) -> command.Setting:
        """How commands of this instance run: as its process does. Raises BlackholeError."""
        i = self.instance
        try:
            return await asyncio.to_thread(spawning.setting, i, self._tools.environ)
        except BlackholeError as error:
            raise BlackholeError(str(error).removeprefix(f"cannot start {i.service}: ")) from None

    async def _kill_tree(self, incarnation: int) -> None:
        """After the end of its process it also leaves the keeper's table."""
        instance = self.instance
        key = f"{instance.name}#{incarnation}"
        left = 0
        try:
            if instance.pid is None:
                left = await self._tools.clearing.clear(key)
            else:
                await self._tools.keeper.kill(key)
        except KeeperError as error:
            log.warning("%s: %s", instance.name, error)
            if instance.pid is None:
                self._tools.clearing.doubt(key)
            else:
                self._start_timer(Timer.GRACE, KILL_AGAIN, incarnation)
        await self._apply(lambda i: machine.on_killed(i, left, self._tools.clock(), self._tools.chance()))
        self._release_limits()

    def _release_limits(self) -> None:
        if self.instance.state in (State.STOPPED, State.FAILED):
            self._tools.limits.remove(self.instance.name)

    def _start_timer(self, timer: Timer, delay: float, incarnation: int) -> None:
        if handle := self._timers.pop(timer, None):
            handle.cancel()
        loop = asyncio.get_running_loop()
        self._timers[timer] = loop.call_later(delay, self._ring, timer, incarnation)

    def _watch(self, incarnation: int, starting: bool) -> None:
        i = self.instance
        self._tools.health.watch(
            i.name, i.spec.probe, lambda verdict: self._on_verdict(incarnation, verdict), i.pid or 0, self.log_path,
            self._here, starting=starting, since_ns=i.started_ns,
        )  # fmt: skip
