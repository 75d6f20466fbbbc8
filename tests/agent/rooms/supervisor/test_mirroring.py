"""Units and containers beside processes of ours, with a manager that is played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bhtui.agent.foreign.model import NOTHING, Hold, Observation
from bhtui.core.errors import BlackholeError
from bhtui.core.operation import OperationState
from bhtui.core.request import ReloadConfigRequest, RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, LimitsSpec, RateSpec, RotateSpec, ServiceKind, ServiceSpec
from bhtui.core.states import Goal, Health, Result, State
from tests.agent.rooms.supervisor.rig import FakeKeeper, NoLimits, fake_rig, spec_of
from tests.waiting import eventually

SECOND = 1_000_000_000
WEB = ServiceSpec("web", (), kind=ServiceKind.SYSTEMD, unit="nginx.service", scope="system")
APP = ServiceSpec("app", ("/bin/sleep", "9"), depends_on={"web": Condition.HEALTHY})


@dataclass
class Played:
    """A manager of one unit. `says` is how the unit is; what is asked moves it at once."""

    says: Observation = field(default_factory=lambda: Observation(State.STOPPED))
    asked: list[str] = field(default_factory=list)
    refuses: str = ""
    runs: int = 0
    captured: list[Path] = field(default_factory=list)
    held: list[LimitsSpec] = field(default_factory=list)
    changed: Callable[[], None] = lambda: None
    policy: str = "always"
    """When it starts the unit again by itself; `no`: never. It does so only where a test plays that."""

    def subject(self, spec: ServiceSpec, changed: Callable[[], None]) -> Played:
        self.changed = changed
        return self

    def become(self, says: Observation) -> None:
        self.says = says
        self.changed()

    def run(self) -> None:
        self.runs += 1
        self.become(Observation(State.RUNNING, f"run-{self.runs}", pid=100 + self.runs))

    async def observe(self, restarts: Mapping[str, Any] = NOTHING) -> Observation:
        ended = self.says.state in (State.STOPPED, State.FAILED) and bool(self.says.run)
        return replace(self.says, would_restart=ended and bool(restarts))

    async def restarts(self) -> Mapping[str, Any]:
        return {} if self.policy == "no" else {"policy": self.policy}

    async def hold_restarts(self) -> None:
        self._ask("hold restarts")
        self.policy = "no"

    async def let_restarts(self, restarts: Mapping[str, Any]) -> None:
        if restarts:
            self._ask("let restarts")
            self.policy = restarts["policy"]

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.refuses:
            raise BlackholeError(self.refuses)

    async def start(self) -> None:
        self._ask("start")
        self.run()

    async def stop(self, grace: float | None) -> None:
        self._ask(f"stop {grace}")
        self.become(replace(self.says, state=State.STOPPED, pid=None, result=Result.SUCCESS, was_asked=True))

    async def restart(self) -> None:
        self._ask("restart")
        self.run()

    async def signal(self, number: int) -> None:
        self._ask(f"signal {number}")

    async def hold(self, limits: LimitsSpec, paths: Sequence[str], before: Mapping[str, Any]) -> Hold:
        self.held.append(limits)
        self.changed()  # as systemd does: the properties of the unit have changed
        return Hold("systemd unit properties", before={**before, "MemoryMax": -1})

    async def tail(self, count: int) -> tuple[str, ...]:
        return ("last words",)

    def capture(self, path: Path, rotate: RotateSpec, rate: RateSpec) -> None:
        self.captured.append(path)

    async def close(self) -> None:
        self.asked.append("close")


def managers(played: Played) -> dict[ServiceKind, Any]:
    return {ServiceKind.SYSTEMD: played}


async def test_the_same_verbs_work(tmp_path: Path):
    played = Played()
    async with fake_rig(tmp_path, spec_of(WEB, APP), managers=managers(played)) as rig:
        assert (await rig.run(StartRequest(("app",)))).state is OperationState.DONE
        assert (rig.state("web-1"), rig.state("app-1")) == (State.RUNNING, State.RUNNING)
        [row] = rig.room.status(["web"])
        assert (row.kind, row.ref, row.pid) == (ServiceKind.SYSTEMD, "nginx.service", 101)
        done = await rig.run(RestartRequest(("web",)))
        assert [step.kind for step in done.steps] == ["service.start"]
        assert done.steps[0].title == "restart web-1: by systemd, nginx.service, it has no probe, running is enough"
        assert rig.room.picture["web-1"].pid == 102
        await rig.room.signal("web-1", "SIGHUP")
        stopped = await rig.run(StopRequest(("web",), timeout=3.0))
        assert (stopped.state, rig.state("web-1")) == (OperationState.DONE, State.STOPPED)
        assert played.asked == ["start", "restart", "signal 1", "stop 3.0"]
        assert played.captured == [tmp_path / "logs/web/web-1.log"]


async def test_what_its_manager_refuses_fails_the_operation_with_the_reason(tmp_path: Path):
    played = Played(refuses="cannot start nginx.service: it is masked; systemctl unmask nginx.service")
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(played)) as rig:
        failed = await rig.run(StartRequest(("web",)))
        assert failed.state is OperationState.FAILED and "it is masked" in failed.error
        played.refuses = ""
        await rig.run(StartRequest(("web",)))
        played.refuses = "cannot stop nginx.service: only root may"
        failed = await rig.run(StopRequest(("web",)))
        assert failed.state is OperationState.FAILED and "only root may" in failed.error
        assert (rig.state("web-1"), rig.room.picture["web-1"].goal) == (State.RUNNING, Goal.UP)


class Dying(Played):
    """Counts as started a moment before its program turns out not to be there."""

    async def start(self) -> None:
        self.become(Observation(State.RUNNING, "run-1", pid=101, since_ns=1))
        broken = Observation(State.FAILED, "run-1", result=Result.EXIT_CODE, text="exit 203")
        asyncio.get_running_loop().call_later(0.05, self.become, broken)


async def test_one_that_ends_a_moment_after_it_counts_as_started_has_not_started(tmp_path: Path):
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(Dying())) as rig:
        failed = await rig.run(StartRequest(("web",)))
        assert failed.state is OperationState.FAILED and "exit 203" in failed.error


async def test_people_elsewhere_are_followed_and_told(tmp_path: Path):
    played = Played()
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(played)) as rig:
        played.run()
        await rig.reaches("web-1", State.RUNNING)
        played.become(Observation(State.STOPPED, "run-1", result=Result.SUCCESS, was_asked=True))
        await rig.reaches("web-1", State.STOPPED)
        assert rig.room.picture["web-1"].goal is Goal.DOWN
        assert "web-1 was stopped past the agent; its goal follows" in rig.messages()
        assert played.asked == []


async def test_it_is_not_restarted_from_here_and_the_reason_has_its_last_lines(tmp_path: Path):
    played = Played()
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(played)) as rig:
        played.run()
        await rig.reaches("web-1", State.RUNNING)
        played.become(Observation(State.FAILED, "run-1", result=Result.SIGNAL, text="killed by SIGSEGV"))
        await rig.reaches("web-1", State.FAILED)
        first, *tail = rig.room.picture["web-1"].last_error.split("\n")
        assert (first.split(" after")[0], tail) == ("killed by SIGSEGV", ["  last words"])
        assert played.asked == []


async def test_the_end_of_the_agent_does_not_end_it_and_the_next_one_goes_on(tmp_path: Path):
    played = Played()
    keeper = FakeKeeper()
    async with fake_rig(tmp_path, spec_of(WEB), keeper, managers=managers(played)) as rig:
        await rig.run(StartRequest())
    assert played.asked == ["start", "close"]
    async with fake_rig(tmp_path, spec_of(WEB), keeper, managers=managers(played)) as rig:
        assert (rig.state("web-1"), rig.room.picture["web-1"].goal) == (State.RUNNING, Goal.UP)
        assert "web-1 runs on with pid 101" in rig.messages()
        assert not [text for text in rig.messages() if "past the agent" in text]


async def test_declared_limits_are_put_on_it_and_lifted(tmp_path: Path):
    played, limited = Played(), replace(WEB, limits=LimitsSpec(memory=64 << 20))
    async with fake_rig(tmp_path, spec_of(limited), managers=managers(played)) as rig:
        await eventually(lambda: played.held)
        assert played.held == [limited.limits]
        assert rig.room.picture["web-1"].hold_before == {"MemoryMax": -1}
        held = await rig.room.hold("web-1")
        assert held is not None and held.held_by == "systemd unit properties"
        await rig.run(StartRequest())
        await eventually(lambda: len(played.held) == 4)  # before the start, and the run that came of it
        played.become(replace(played.says, health=Health.DEGRADED))
        await eventually(lambda: rig.room.picture["web-1"].health is Health.DEGRADED)
        assert len(played.held) == 4


@dataclass(frozen=True)
class Prioritised(NoLimits):
    """Remembers who was given priorities."""

    given: list[tuple[str, int, int | None]] = field(default_factory=list)

    def prioritise(self, instance: str, pid: int, limits: LimitsSpec) -> dict[str, str]:
        self.given.append((instance, pid, limits.nice))
        return {}


async def test_each_run_is_given_its_priorities(tmp_path: Path):
    played, limits = Played(), Prioritised()
    nice = replace(WEB, limits=LimitsSpec(nice=5))
    async with fake_rig(tmp_path, spec_of(nice), limits=limits, managers=managers(played)) as rig:
        await rig.run(StartRequest())
        await eventually(lambda: limits.given == [("web-1", 101, 5)])
        played.run()
        await eventually(lambda: limits.given == [("web-1", 101, 5), ("web-1", 102, 5)])


async def test_another_configuration_never_stops_it(tmp_path: Path):
    played = Played()
    other = spec_of(replace(WEB, limits=LimitsSpec(cpu=1.0)), digest="limited")
    gone = spec_of(replace(APP, depends_on={}), digest="gone")
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(played)) as rig:
        rig.config.known |= {"limited": other, "gone": gone}
        await rig.run(StartRequest())
        done = await rig.run(ReloadConfigRequest("limited", "/etc/b.yaml"))
        assert [step.kind for step in done.steps] == ["spec.apply"]
        await eventually(lambda: played.held)
        done = await rig.run(ReloadConfigRequest("gone", "/etc/b.yaml"))
        assert "nginx.service goes on, and is no service any more" in done.effects
        assert "web-1" not in rig.room.picture
        assert played.asked == ["start", "close"] and played.says.state is State.RUNNING


async def test_a_process_becomes_a_unit(tmp_path: Path):
    played, ours = Played(), ServiceSpec("web", ("/bin/sleep", "9"))
    async with fake_rig(tmp_path, spec_of(ours), managers=managers(played)) as rig:
        rig.config.known["unit"] = spec_of(WEB, digest="unit")
        await rig.run(StartRequest())
        done = await rig.run(ReloadConfigRequest("unit", "/etc/b.yaml"))
        assert [step.kind for step in done.steps] == ["service.stop", "spec.apply", "service.start"]
        assert done.state is OperationState.DONE, done.error
        assert played.asked == ["start"] and rig.state("web-1") is State.RUNNING


async def test_an_emergency_stop_kills_it_too(tmp_path: Path):
    played = Played()
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(played)) as rig:
        await rig.run(StartRequest())
        rig.room.on_emergency()
        await rig.reaches("web-1", State.STOPPED)
        assert played.asked == ["start", "stop 0.0"]


async def test_a_clock_that_is_set_has_it_looked_at_again(tmp_path: Path):
    """Since when it runs its manager tells, as the clock counts then; nothing of it has changed."""
    played = Played()
    async with fake_rig(tmp_path, spec_of(WEB), managers=managers(played)) as rig:
        played.become(Observation(State.RUNNING, "run-1", pid=101, since_ns=90 * SECOND))
        await rig.reaches("web-1", State.RUNNING)
        since = rig.room.picture["web-1"].since_ns
        played.says = replace(played.says, since_ns=30 * SECOND)
        rig.room.on_clock_set(-60 * SECOND)
        await eventually(lambda: rig.room.picture["web-1"].started_ns == 30 * SECOND, what="it is looked at")
        assert rig.room.picture["web-1"].since_ns == since - 60 * SECOND
        assert rig.room.picture["web-1"].incarnation == 1
