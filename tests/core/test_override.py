"""What holds when something was set at run time."""

from bhtui.core.override import Override, effective, latest
from bhtui.core.spec import LimitsSpec

DECLARED = LimitsSpec(memory=100, nice=3)


def test_what_was_set_wins_and_the_rest_is_as_declared():
    overrides = {"memory": Override(200, "ada", 1), "cpu": Override(0.5, "bob", 2)}
    assert effective(DECLARED, overrides) == LimitsSpec(memory=200, cpu=0.5, nice=3)
    assert effective(DECLARED, {}) is DECLARED


def test_the_latest():
    assert latest({"memory": Override(1, "ada", 5), "cpu": Override(1, "bob", 9)}) == Override(1, "bob", 9)
    assert latest({}) is None
