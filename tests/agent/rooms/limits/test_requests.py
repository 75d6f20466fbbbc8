"""Plans of requests about resources."""

import pytest

from bhtui.agent.rooms.limits.requests import plan
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.core.override import Override
from bhtui.core.request import (
    ClearCacheRequest,
    CollectGarbageRequest,
    ResetLimitsRequest,
    SetLimitsRequest,
    SetPriorityRequest,
)
from bhtui.core.spec import LimitsSpec, ServiceSpec

API = ServiceSpec("api", ("api",), limits=LimitsSpec(memory=64 << 20), replicas=2, contract="127.0.0.1:1")
DB = ServiceSpec("db", ("db",))
GIGA = 1 << 30


def made(request, overrides=None, in_use=None, not_held=lambda name: ""):
    known = overrides or {}
    return plan({"api": API, "db": DB}, request, lambda service: known.get(service, {}), in_use or {}, not_held)


def test_a_limit_is_one_step_that_can_be_undone():
    before = Override(2 * GIGA, "bob", 7)
    found = made(SetLimitsRequest("api", memory=4 * GIGA, cpu=0.5), {"api": {"memory": before}})
    (step,) = found.steps
    assert (found.kind, found.targets, found.undo_on_failure) == ("set-limit", ("api",), True)
    assert (step.kind, step.target, step.title) == ("limits.set", "api", "hold api: memory 4.0 G, cpu 0.5")
    assert step.args["values"] == {"memory": 4 * GIGA, "cpu": 0.5}
    assert step.args["before"] == {"memory": {"value": 2 * GIGA, "actor": "bob", "time_ns": 7}, "cpu": None}
    assert found.claims == {"limits:api"}


def test_a_limit_is_lifted_and_that_is_not_to_be_held():
    found = made(SetLimitsRequest("api", cpu=2.0, lift=("memory", "iops")), not_held=lambda name: f"no {name}")
    (step,) = found.steps
    assert step.title == "hold api: cpu 2, memory none, iops none"
    assert step.args["values"] == {"cpu": 2.0, "memory": "none", "iops": "none"}
    assert found.effects == ("cpu: not held here: no cpu",)


def test_what_cannot_be_held_is_said_before():
    found = made(SetLimitsRequest("db", iops=100, pids=5), not_held=lambda name: "no disk" if name == "iops" else "")
    assert found.effects == ("iops: not held here: no disk",)


def test_less_than_is_used_is_refused():
    with pytest.raises(Refused, match=r"cannot limit api to 32 M: api-2 uses 40 M now"):
        made(SetLimitsRequest("api", memory=32 << 20), in_use={"api-1": 1 << 20, "api-2": 40 << 20})
    made(SetLimitsRequest("api", memory=32 << 20), in_use={"db-1": 40 << 20})


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (SetLimitsRequest("ap", memory=GIGA), NotFound, "did you mean api"),
        (SetLimitsRequest("api"), UsageError, "name at least one limit"),
        (SetLimitsRequest("api", memory=5), UsageError, "memory must be at least 1.0 M"),
        (SetLimitsRequest("api", memory=GIGA, lift=("memory",)), UsageError, "memory is both set and lifted"),
        (SetLimitsRequest("api", lift=("nice",)), UsageError, "there is no 'nice' to lift"),
        (SetPriorityRequest("api", lift=("memory",)), UsageError, "there is no 'memory' to lift"),
        (SetLimitsRequest("api", cpu=0.0), UsageError, "cpu must be at least 0.01"),
        (SetLimitsRequest("api", pids=0), UsageError, "pids must be at least 1"),
        (SetPriorityRequest("api"), UsageError, "give nice, ionice or both"),
        (SetPriorityRequest("api", 20), UsageError, "between -20 and 19"),
        (SetPriorityRequest("api", None, "fast"), UsageError, "'fast' is not idle"),
        (ResetLimitsRequest("x"), NotFound, "no such service"),
        (ClearCacheRequest(("db",)), Refused, "db: it has no contract, so nobody can ask it"),
        (CollectGarbageRequest(("api", "db")), Refused, "cannot collect the garbage of db"),
        (ClearCacheRequest(()), UsageError, "name a service"),
    ],
)
def test_what_is_not_possible_says_why(request_, error, text):
    with pytest.raises(error, match=text):
        made(request_)


def test_a_reset_takes_back_what_was_set_and_nothing_else():
    overrides = {"api": {"memory": Override(GIGA, "ada", 1), "nice": Override(5, "ada", 2)}}
    found = made(ResetLimitsRequest("api"), overrides)
    assert [(step.kind, step.args["values"]) for step in found.steps] == [
        ("limits.set", {"memory": None}),
        ("priority.set", {"nice": None}),
    ]
    assert found.steps[0].title == "hold api: memory as declared, 64 M"
    assert made(ResetLimitsRequest("db")).effects == ("the limits of db are as declared",)


def test_garbage_by_force_comes_after_the_caches():
    found = made(CollectGarbageRequest(("api",), force=True))
    assert [(step.kind, step.after) for step in found.steps] == [
        ("service.clear-cache", ()),
        ("service.collect-garbage", (0,)),
    ]
    assert [step.kind for step in made(CollectGarbageRequest(("api",))).steps] == ["service.collect-garbage"]
