"""From a request about scaling by load to its plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bhtui.agent.rooms.scaling.requests import SET, Known, plan, with_number_by_hand
from bhtui.core.autoscale import AutoScaleSpec, fault, in_force
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.core.operation import Plan
from bhtui.core.override import Override
from bhtui.core.request import AutoScaleRequest, ScaleRequest
from bhtui.core.spec import Condition, LimitsSpec, Restart, RestartSpec, ServiceKind, ServiceSpec

API = ServiceSpec("api", ("api",))
HELD = ServiceSpec("held", ("held",), limits=LimitsSpec(cpu=2, memory=1 << 30))
DECLARED = ServiceSpec("own", ("own",), replicas=2, scale=AutoScaleSpec(auto=True, min=2, max=4, cpu=70.0))
ONCE = ServiceSpec("once", ("once",), restart=RestartSpec(Restart.NO))
SETUP = ServiceSpec("setup", ("setup",))
AFTER = ServiceSpec("after", ("after",), depends_on={"setup": Condition.COMPLETED})
NONE = ServiceSpec("none", ("none",), replicas=0)
UNIT = ServiceSpec("unit", (), kind=ServiceKind.SYSTEMD, unit="nginx.service")
DB = ServiceSpec("db", ("db",), ports=(5432,))


def known(*services: ServiceSpec, **overrides: dict[str, object]) -> Known:
    set_now = {
        name: {key: Override(value, "ada", 1) for key, value in values.items()} for name, values in overrides.items()
    }
    return Known(
        {each.name: each for each in services},
        lambda name: set_now.get(name, {}),
        lambda name, n: "its port is taken" if name == "db" and n > 1 else "",
    )


def titles(made: Plan) -> list[str]:
    return [step.title for step in made.steps]


def test_on_for_one() -> None:
    made = plan(known(API, HELD), AutoScaleRequest(("held",), min=2, max=6, memory_threshold=90))
    assert titles(made) == [
        "let held have 2 to 6 instances: more above cpu 80 % of its limit or memory 90 % of its limit"
    ]
    (step,) = made.steps
    assert (step.kind, step.target) == (SET, "held")
    assert step.args == {
        "values": {"auto": True, "min": 2, "max": 6, "memory": 90},
        "before": {"auto": None, "min": None, "max": None, "memory": None},
    }
    assert (made.kind, made.targets, made.claims) == ("auto-scale", ("held",), {"scaling:held"})
    assert made.effects == (
        "memory asks for one instance at a time, and for no more when another did not lower it in held",
        "held has 1 now, and is given 2 at once",
    )


def test_on_for_all_names_what_is_left_out() -> None:
    made = plan(known(API, ONCE, SETUP, AFTER, NONE, DB, DECLARED, UNIT), AutoScaleRequest(max=4))
    assert [step.target for step in made.steps] == ["api", "after"]
    assert set(made.effects) == {
        "left out, once: it runs once (restart: no)",
        "left out, setup: after waits for it to complete",
        "left out, none: it has no instances: its replicas are 0",
        "left out, db: its port is taken",
        "left out, unit: there is one nginx.service",
        "own does so already: it has 2 to 4 instances: more above cpu 70 % of one core",
    }


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (AutoScaleRequest(("apo",)), NotFound, "cannot find apo: there is no such service; did you mean api?"),
        (AutoScaleRequest(("db",)), Refused, "cannot scale db by its load: its port is taken"),
        (AutoScaleRequest(("once",)), Refused, "it runs once"),
        (AutoScaleRequest(("api",), min=4, max=2), UsageError, "the minimum 4 is above the maximum 2"),
        (AutoScaleRequest(("api",), min=9), UsageError, "the minimum 9 is above the maximum 5"),
        (AutoScaleRequest(("api",), max=0), UsageError, "the maximum 0 is not between 1 and 1000"),
        (AutoScaleRequest(("api",), cpu_threshold=-3), UsageError, "the cpu threshold -3 is not between"),
        (AutoScaleRequest(("api",), cpu_threshold=float("nan")), UsageError, "the cpu threshold nan is not between"),
        (AutoScaleRequest(("api",), memory_threshold=101), UsageError, "the memory threshold 101 is not between"),
        (AutoScaleRequest(("api",), cpu_threshold=0), UsageError, "neither CPU nor memory is looked at"),
        (AutoScaleRequest(("api",), cpu_threshold=0, memory_threshold=90), Refused, "it has no memory limit"),
        (AutoScaleRequest(("api",), auto=False, max=3), UsageError, "leave one of them out"),
    ],
)  # fmt: skip
def test_what_is_refused(request_: AutoScaleRequest, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        plan(known(API, ONCE, DB), request_)


def test_nothing_at_all_that_could_be_scaled() -> None:
    with pytest.raises(Refused) as told:
        plan(known(ONCE, replace(ONCE, name="again"), DB), AutoScaleRequest())
    assert str(told.value).splitlines() == [
        "cannot scale by load: no service here can follow it",
        "  once, again: it runs once (restart: no)",
        "  db: its port is taken",
    ]
    with pytest.raises(Refused, match="no services are declared here"):
        plan(known(), AutoScaleRequest())


def test_what_is_not_given_stays() -> None:
    there = known(API, api={"auto": True, "max": 9})
    made = plan(there, AutoScaleRequest(("api",), cpu_threshold=70))
    assert made.steps[0].args["values"] == {"cpu": 70}
    assert titles(made) == ["let api have 1 to 9 instances: more above cpu 70 % of one core"]
    made = plan(there, AutoScaleRequest(("api",), max=9, memory_threshold=0))
    assert made.steps == ()
    assert made.effects == ("api does so already: it has 1 to 9 instances: more above cpu 80 % of one core",)


def test_memory_without_a_limit_is_told() -> None:
    made = plan(known(API), AutoScaleRequest(("api",), memory_threshold=90))
    assert made.effects == ("the memory of api is not looked at: it has no limit that it could be a share of",)


def test_off() -> None:
    there = known(API, DECLARED, HELD, api={"auto": True, "max": 9})
    made = plan(there, AutoScaleRequest(auto=False))
    assert titles(made) == ["let api follow its load no more", "let own follow its load no more"]
    assert [step.args["values"] for step in made.steps] == [{"auto": None, "max": None}, {"auto": False}]
    assert made.steps[0].args["before"]["max"] == {"value": 9, "actor": "ada", "time_ns": 1}
    assert made.effects[0] == "api stays at 1; `blackhole scale api --replicas N` sets another number"
    assert plan(known(HELD), AutoScaleRequest(auto=False)).effects == ("no service is scaled by its load",)
    assert plan(there, AutoScaleRequest(("held",), auto=False)).effects == ("held is not scaled by its load",)


def test_a_number_by_hand_ends_it_and_says_so() -> None:
    there = known(API, DECLARED, HELD, api={"auto": True, "max": 9})
    by_hand = Plan("scale", ("api",), (), claims=frozenset({"service:api"}))
    made = with_number_by_hand(there, ScaleRequest(("api", "own", "held"), 3), by_hand)
    assert titles(made) == ["let api follow its load no more (1..9)", "let own follow its load no more (2..4)"]
    assert made.effects[0] == "api keeps that number whatever its load; `blackhole scale api --auto` follows it again"
    assert made.claims == {"service:api", "scaling:api", "scaling:own"}
    assert with_number_by_hand(there, ScaleRequest(("held",), 3), by_hand) == by_hand


def test_back_to_what_is_declared_is_that_of_scaling_too() -> None:
    there = known(API, DECLARED, api={"auto": True}, own={"auto": False, "max": 9})
    by_hand = Plan("scale", ("api",), ())
    made = with_number_by_hand(there, ScaleRequest(("api", "own")), by_hand)
    assert [step.args["values"] for step in made.steps] == [{"auto": None}, {"auto": None, "max": None}]
    assert titles(made)[1] == "let own follow its load as declared: 2 to 4 instances"
    assert with_number_by_hand(known(DECLARED), ScaleRequest(("own",)), by_hand) == by_hand


def test_in_force_and_fault() -> None:
    assert in_force(AutoScaleSpec(), {"auto": True, "cpu": 0, "memory": 70.0, "other": 1}) == AutoScaleSpec(
        auto=True, cpu=None, memory=70.0
    )
    assert fault(AutoScaleSpec()) == ""
    assert "cooldown_down" in fault(AutoScaleSpec(cooldown_down=30.0))
