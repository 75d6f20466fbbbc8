"""Any order of what can happen to a host, against a model: what was asked, and what is there once all is calm.

BHTUI_EXAMPLES=2000 tries as many other orders; without it they are the same each time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bhtui.core.errors import BlackholeError
from bhtui.core.request import ReloadConfigRequest, RestartRequest, ScaleRequest, StopRequest
from bhtui.core.spec import Condition, ProbeKind, ProbeSpec, Restart, RestartSpec, ServiceSpec, StopSpec
from bhtui.core.states import Goal, State
from tests.agent.rooms.supervisor.rig import spec_of
from tests.agent.rooms.supervisor.world import World

ENDLESS = RestartSpec(policy=Restart.ALWAYS, start_limit=0, maximum=5.0)
PROBED = ProbeSpec(ProbeKind.TCP, "127.0.0.1:1", ready_timeout=5.0, liveness=True)
DB = ServiceSpec("db", ("true",), restart=ENDLESS, stop=StopSpec(grace=2.0))
API = ServiceSpec(
    "api", ("true",), replicas=2, probe=PROBED, depends_on={"db": Condition.HEALTHY},
    restart=RestartSpec(start_limit=3), stop=StopSpec(grace=0.0),
)  # fmt: skip
WEB = ServiceSpec("web", ("true",), restart=ENDLESS, depends_on={"api": Condition.STARTED}, stop=StopSpec(grace=1.0))
JOB = ServiceSpec("job", ("true",), depends_on={"db": Condition.STARTED})
ONCE = ServiceSpec("once", ("true",), restart=RestartSpec(policy=Restart.NO))
SPECS = {
    spec.digest: spec
    for spec in (
        spec_of(DB, API, WEB, JOB, ONCE, digest="first"),
        spec_of(DB, replace(API, environment={"A": "1"}), WEB, JOB, ONCE, digest="changed"),
        spec_of(DB, replace(API, replicas=4), WEB, JOB, ONCE, digest="scaled-up"),
        spec_of(DB, replace(API, replicas=1), WEB, JOB, ONCE, digest="scaled-down"),
        spec_of(replace(DB, stop=StopSpec(grace=0.5)), API, JOB, digest="removed"),
        spec_of(DB, replace(API, probe=replace(PROBED, interval=1.0)), WEB, JOB, ONCE, digest="other-probe"),
    )
}
NAMES = ("db-1", "api-1", "api-2", "web-1", "job-1", "once-1")
names = st.sampled_from(NAMES)
graces = st.sampled_from([None, 0.0, 0.3])
pauses = st.sampled_from([0.0, 0.002, 0.02, 0.3, 3.0, 15.0])
CALM_SECONDS = 400.0


class Host(RuleBasedStateMachine):
    """What can happen to one host."""

    @initialize()
    def begin(self) -> None:
        self.world = World(dict(SPECS), "first")
        self.goals: dict[str, Goal] = {}
        self.sure = True
        """Whether only single requests have set goals since the last calm; operations set them in their own time."""

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.becomes_calm()
            finally:
                self.world.close()

    def _known(self, name: str) -> bool:
        return name in self.world.room.picture

    # ---- people

    @rule(name=names, by=st.sampled_from(["", "op"]), pause=pauses)
    def start(self, name: str, by: str, pause: float) -> None:
        if self._known(name):
            try:
                if by and self.world.keeper.held:
                    self.world.do(self.world.room.lift_hold())
                self.world.do(self.world.room.start(name, by))
                self.goals[name] = Goal.UP
            except BlackholeError:  # not declared any more, or the keeper cannot be reached
                pass
        self.world.pass_time(pause)

    @rule(name=names, grace=graces, pause=pauses)
    def stop(self, name: str, grace: float | None, pause: float) -> None:
        if self._known(name):
            self.world.do(self.world.room.stop(name, grace))
            self.goals[name] = Goal.DOWN
        self.world.pass_time(pause)

    @rule(
        request=st.one_of(
            st.builds(ReloadConfigRequest, st.sampled_from(list(SPECS))),
            st.builds(RestartRequest, st.sampled_from([(), ("api",), ("db",)]), st.booleans()),
            st.builds(StopRequest, st.sampled_from([(), ("api",), ("db", "web")]), st.booleans()),
            st.builds(ScaleRequest, st.sampled_from([("api",), ("db", "api")]), st.sampled_from([None, 0, 1, 3])),
            st.just(StopRequest(emergency=True)),
        ),
        pause=pauses,
    )
    def operate(self, request: Any, pause: float) -> None:
        self.sure = False
        with suppress(BlackholeError):  # another is under way, or it names what is not declared
            self.world.do(self.world.begin(request))
        self.world.pass_time(pause)

    @rule(heard=st.booleans(), away=pauses)
    @precondition(lambda self: self.world.keeper.state == "well")
    def emergency_stop(self, heard: bool, away: float) -> None:
        if heard:
            self.world.emergency(heard=True)
            self.world.pass_time(0.5)
        else:
            self.world.kill_agent()
            self.world.emergency(heard=False)
            self.world.pass_time(away)
            self.world.boot()
        self.goals = dict.fromkeys(self.world.room.picture, Goal.DOWN)
        if not self.world.idle():
            self.sure = False

    # ---- processes

    @rule(name=names, code=st.sampled_from([0, 1, None]), pause=pauses)
    def process_ends(self, name: str, code: int | None, pause: float) -> None:
        self.world.end(name, code)
        self.world.pass_time(pause)

    @rule(name=names, code=st.sampled_from([0, 1]))
    def dies_at_its_next_start(self, name: str, code: int) -> None:
        self.world.keeper.dying[name] = code

    @rule(name=names)
    def minds_no_signal(self, name: str) -> None:
        self.world.keeper.stubborn ^= {name}

    @rule(name=names, well=st.booleans(), pause=pauses)
    def probes_say(self, name: str, well: bool, pause: float) -> None:
        self.world.say(name, well)
        self.world.pass_time(pause)

    # ---- what the agent stands on

    @rule(away=pauses, crash=st.sets(names, max_size=2), code=st.sampled_from([0, 1]))
    def agent_is_killed(self, away: float, crash: set[str], code: int) -> None:
        self.world.kill_agent()
        for name in crash:
            self.world.end(name, code)
        self.world.pass_time(away)
        self.world.do(self.world.keeper.become("well"))  # a new agent starts a keeper where there is none
        self.world.boot()

    @rule(state=st.sampled_from(["gone", "stuck"]))
    @precondition(lambda self: self.world.keeper.state == "well")
    def keeper_is_lost(self, state: str) -> None:
        self.world.do(self.world.keeper.become(state))

    @rule(pause=pauses)
    @precondition(lambda self: self.world.keeper.state != "well")
    def keeper_is_back(self, pause: float) -> None:
        self.world.do(self.world.keeper.become("well"))
        self.world.pass_time(pause)

    @rule(hours=st.sampled_from([-25, -1, 1, 9000]))
    def clock_is_set(self, hours: int) -> None:
        self.world.loop.wall_ns += hours * 3600 * 1_000_000_000

    @rule(pause=pauses)
    def time_passes(self, pause: float) -> None:
        self.world.pass_time(pause)

    # ---- what must hold

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.look()
        picture = self.world.room.picture
        if self.sure:
            for name, goal in self.goals.items():
                assert name not in picture or picture[name].goal is goal, name

    @rule()
    def becomes_calm(self) -> None:
        world = self.world
        world.do(world.keeper.become("well"))
        world.keeper.dying.clear()
        world.keeper.stubborn.clear()
        for name in (*NAMES, "api-3", "api-4"):
            world.say(name, True)
        for _ in range(20):
            world.pass_time(CALM_SECONDS)
            if world.idle():
                break
        assert world.idle(), world.runner.list(open_only=True)
        world.pass_time(CALM_SECONDS)
        world.look()
        picture = world.room.picture
        for name in picture:
            self._is_as_asked(name)
        assert {kept.key.partition("#")[0] for kept in world.keeper.table.values()} <= set(picture)
        assert all(kept.exit is None for kept in world.keeper.table.values()), "ended processes are forgotten"
        self.goals, self.sure = {name: i.goal for name, i in picture.items()}, True

    def _is_as_asked(self, name: str) -> None:
        i = self.world.room.picture[name]
        living = [kept.key for kept in self.world.keeper.living(name)]
        if i.goal is Goal.DOWN:
            assert i.state is State.STOPPED and living == [], (i, living)
        elif i.state is State.RUNNING:
            assert living == [i.key], (i, living)
        else:
            assert living == [], (i, living)
            needs = any(self._is_down(service) for service in i.spec.depends_on)
            waits = i.state in (State.WAITING, State.BACKOFF) and i.waiting_for and needs
            assert waits or i.completed or i.state is State.FAILED or self._rests(i), i

    def _is_down(self, service: str) -> bool:
        picture = self.world.room.picture
        return any(i.state is not State.RUNNING for i in picture.values() if i.service == service)

    @staticmethod
    def _rests(i: Any) -> bool:
        return i.state is State.STOPPED and not i.declared


SETTINGS = settings(
    max_examples=int(os.environ.get("BHTUI_EXAMPLES", "100")),
    stateful_step_count=40,
    derandomize="BHTUI_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Without shrinking, which takes minutes; the steps that failed are printed in any case.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
)


def test_any_order_of_what_can_happen() -> None:
    run_state_machine_as_test(Host, settings=SETTINGS)
