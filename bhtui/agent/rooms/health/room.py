"""Watches the health of instances: a task for each, which asks, judges, and tells what has changed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bhtui.agent.command import Here
from bhtui.core.errors import NotFound
from bhtui.core.spec import ProbeKind, ProbeSpec
from bhtui.core.states import Health

from .commandprobe import CommandProbe
from .grpc_health import GrpcProbe
from .logline import LogProbe
from .model import OnVerdict, Probe, ProbeResult, Verdict
from .sockets import HttpProbe, TcpProbe
from .thresholds import Judgement, judge, pause_after

log = logging.getLogger(__name__)

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of all probes since the start of the agent. Lag is how many seconds a probe began after it was due."""

    watched: int
    asked: int
    failed: int
    last_lag: float
    worst_lag: float


class HealthRoom:
    """Every watched instance."""

    def __init__(
        self,
        clock: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
        passed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`passed`: seconds that only grow."""
        self._clock, self._chance, self.passed = clock, chance, passed
        self._watches: dict[str, Watch] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.asked = self.failed = 0
        self.last_lag = self.worst_lag = 0.0

    def watch(
        self,
        instance: str,
        probe: ProbeSpec,
        on_result: OnVerdict,
        pid: int,
        log_path: Path,
        here: Here,
        *,
        starting: bool = True,
        since_ns: int = 0,
    ) -> None:
        """Probes the process from now on and calls back at each change of health or detail.

        `here` says how a command of the service runs. `starting`: asks often until it is well for the first time.
        `since_ns` is when the process was started.
        """
        self.forget(instance)
        if probe.kind is ProbeKind.NONE:
            on_result(Verdict(Health.HEALTHY, "", self._clock()))
            return
        if probe.kind is ProbeKind.LOG and not starting:
            on_result(Verdict(Health.HEALTHY, "", self._clock()))  # the line has been seen, maybe long ago
            return
        began = Judgement(was_well=not starting)
        log.debug("%s: probing pid %d by %s", instance, pid, probe.kind)
        made = make(instance, probe, log_path, since_ns, here)
        self._watches[instance] = Watch(self, probe, made, on_result, began, since_ns)

    def forget(self, instance: str) -> None:
        """Probes it no more; a probe that is under way is ended."""
        if watch := self._watches.pop(instance, None):
            task = asyncio.create_task(watch.close())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def check(self, instance: str) -> Verdict:
        """Probes it now. Raises NotFound when it is not watched."""
        if instance not in self._watches:
            raise NotFound(f"cannot check {instance}: it is not running, or has no probe")
        return await self._watches[instance].probe_now()

    def statistics(self) -> Statistics:
        """How the probing itself goes."""
        return Statistics(len(self._watches), self.asked, self.failed, self.last_lag, self.worst_lag)

    async def close(self) -> None:
        """Ends every probe."""
        for instance in list(self._watches):
            self.forget(instance)
        await asyncio.gather(*self._ending)

    def now(self) -> int:
        return self._clock()

    def chance(self) -> float:
        return self._chance()


class Watch:
    """One instance under watch."""

    def __init__(
        self,
        room: HealthRoom,
        spec: ProbeSpec,
        probe: Probe,
        on_result: OnVerdict,
        judgement: Judgement,
        since_ns: int,
    ) -> None:
        self._room, self._spec, self._probe, self._on_result = room, spec, probe, on_result
        self._judgement = judgement
        # Counted from here on as it passes, however the clock is set.
        self._age, self._begun = max(0.0, (room.now() - since_ns) / SECOND), room.passed()
        self._turn = asyncio.Lock()
        self._told: tuple[Health, str] | None = None
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            lag = max(0.0, loop.time() - due)
            self._room.last_lag, self._room.worst_lag = lag, max(lag, self._room.worst_lag)
            await self.probe_now()
            due = loop.time() + pause_after(self._judgement, self._spec, self._room.chance())
            await asyncio.sleep(due - loop.time())

    async def probe_now(self) -> Verdict:
        """One probe, judged and told."""
        async with self._turn:
            result = await self._ask()
            self._room.asked += 1
            self._room.failed += not result.ok
            now = self._room.now()
            age = self._age + self._room.passed() - self._begun
            self._judgement = judge(self._judgement, self._spec, result, age)
            verdict = Verdict(self._judgement.health, self._judgement.detail, now)
            if (verdict.health, verdict.detail) != self._told:
                self._told = (verdict.health, verdict.detail)
                self._on_result(verdict)
            return verdict

    async def _ask(self) -> ProbeResult:
        try:
            async with asyncio.timeout(self._spec.timeout):
                return await self._probe.ask()
        except TimeoutError:
            await self._probe.close()
            return ProbeResult(False, detail=f"no answer within {self._spec.timeout:g} s")
        except Exception as error:
            # A fault in a probe is an answer nobody understood; it must not end the watch.
            log.exception("a probe failed")
            return ProbeResult(False, detail=f"the probe itself failed: {error}")

    async def close(self) -> None:
        """Ends the task and the probe."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._probe.close()


def make(instance: str, probe: ProbeSpec, log_path: Path, since_ns: int, here: Here) -> Probe:
    """The probe of a spec."""
    match probe.kind:
        case ProbeKind.TCP:
            return TcpProbe(probe.target)
        case ProbeKind.HTTP:
            return HttpProbe(probe.target)
        case ProbeKind.GRPC:
            return GrpcProbe(probe.target, probe.timeout)
        case ProbeKind.COMMAND:
            return CommandProbe(instance, probe.command, probe.timeout, here)
        case ProbeKind.LOG:
            return LogProbe(probe.target, log_path, since_ns)
        case ProbeKind.NONE:
            raise ValueError("nothing is asked of an instance without a probe")
