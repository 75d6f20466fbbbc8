from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.supervisor.restart import SECOND, Action, History, decide, delay_of, jittered, seconds_text
from bhtui.core.spec import Restart, RestartSpec

specs = st.builds(
    RestartSpec,
    policy=st.sampled_from(Restart),
    delay=st.floats(0, 100),
    factor=st.floats(1, 1e6),
    maximum=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    start_limit=st.integers(0, 20),
    start_window=st.floats(0, 1000),
    reset_after=st.floats(0, 100),
)


@given(specs, st.integers(0, 10_000))
def test_delays_grow_up_to_the_maximum(spec: RestartSpec, streak: int) -> None:
    assert delay_of(spec, streak) <= delay_of(spec, streak + 1) <= max(spec.maximum, 0) or spec.delay >= spec.maximum
    assert 0 <= delay_of(spec, streak) <= spec.maximum


@given(st.floats(0, 1000), st.floats(0, 1), st.floats(0, 1000), st.floats(0, 1))
def test_jitter_stays_in_its_bounds(delay: float, jitter: float, maximum: float, chance: float) -> None:
    wait = jittered(delay, jitter, maximum, chance)
    assert 0 <= wait <= maximum
    assert wait <= delay * (1 + jitter) * 1.000001
    assert wait >= min(maximum, delay * (1 - jitter)) * 0.999999


@given(specs, st.integers(0, 50), st.booleans(), st.floats(0, 1000), st.floats(0, 1))
def test_it_always_decides(spec: RestartSpec, streak: int, success: bool, ran: float, chance: float) -> None:
    said = decide(spec, History(streak, (), streak), "exit 1", success, ran, 10**18, chance)
    assert said.reason.startswith("exit 1")
    if said.action is Action.RESTART:
        assert said.history.restarts == streak + 1
        assert said.history.recent == ((10**18,) if spec.start_limit else ())
    else:
        assert said.delay == 0


def test_policies() -> None:
    def action(policy: Restart, success: bool) -> Action:
        return decide(RestartSpec(policy=policy), History(), "", success, 1, 0, 0.5).action

    assert action(Restart.NO, True) is Action.REST
    assert action(Restart.NO, False) is Action.FAIL
    assert action(Restart.ON_FAILURE, True) is Action.REST
    assert action(Restart.ON_FAILURE, False) is Action.RESTART
    for policy in (Restart.ALWAYS, Restart.UNLESS_STOPPED):
        assert action(policy, True) is Action.RESTART
        assert action(policy, False) is Action.RESTART


def test_the_first_restart_is_nearly_at_once_and_a_long_run_sets_the_delay_back() -> None:
    spec = RestartSpec(jitter=0)
    assert decide(spec, History(), "exit 1", False, 0.1, 0, 0.5).delay == 0.02
    assert decide(spec, History(9, (), 9), "exit 1", False, 0.1, 0, 0.5).delay == 0.02 * 2**9
    assert decide(spec, History(9, (), 9), "exit 1", False, 10, 0, 0.5).delay == 0.02


def test_it_gives_up_at_the_start_limit_and_says_so() -> None:
    spec, history, now = RestartSpec(jitter=0), History(), 0
    for _ in range(spec.start_limit):
        said = decide(spec, history, "exit 1 after 20 ms", False, 0.02, now, 0.5)
        assert said.action is Action.RESTART
        history, now = said.history, now + SECOND
    said = decide(spec, history, "exit 1 after 20 ms", False, 0.02, now, 0.5)
    assert (said.action, said.reason) == (Action.FAIL, "exit 1 after 20 ms; restarted 10 times in 60 s")
    later = decide(spec, history, "exit 1", False, 0.02, now + 61 * SECOND, 0.5)
    assert later.action is Action.RESTART


def test_the_reason_is_a_sentence() -> None:
    said = decide(RestartSpec(jitter=0), History(5, (), 5), "exit 1 after 0.2 s", False, 0.2, 0, 0.5)
    assert said.reason == "exit 1 after 0.2 s, restart 6 in 0.6 s"


def test_durations_in_words() -> None:
    assert [seconds_text(x) for x in (0.02, 0.2, 1, 8, 9.96, 90, 180)] == [
        "20 ms", "0.2 s", "1 s", "8 s", "10 s", "90 s", "3 min",
    ]  # fmt: skip


def test_restarts_noted_before_the_clock_was_set_back_do_not_count() -> None:
    later = 10**18 + 3600 * SECOND
    spec = RestartSpec(start_limit=2)
    said = decide(spec, History(2, (later, later), 2), "exit 1", False, 0.0, 10**18, 0.5)
    assert said.action is Action.RESTART
    assert said.history.recent == (10**18,)
