from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.health.model import ProbeResult
from bhtui.agent.rooms.health.thresholds import Judgement, judge, pause_after
from bhtui.core.spec import ProbeKind, ProbeSpec
from bhtui.core.states import Health

OK, BAD, SO_SO = ProbeResult(True), ProbeResult(False, detail="refused"), ProbeResult(True, True, "cache cold")
SPEC = ProbeSpec(ProbeKind.TCP, ":1", retries=3, successes=2, start_period=10)


def after(*results: ProbeResult, spec: ProbeSpec = SPEC, age: float = 100, ready: bool = False) -> Judgement:
    judgement = Judgement(was_well=ready)
    for result in results:
        judgement = judge(judgement, spec, result, age)
    return judgement


def test_it_takes_successes_in_a_row_to_be_healthy() -> None:
    assert after(OK).health is Health.UNKNOWN
    assert after(OK, BAD, OK).health is Health.UNKNOWN
    assert after(OK, OK).health is Health.HEALTHY
    assert after(OK, SO_SO).health is Health.DEGRADED


def test_it_takes_failures_in_a_row_to_be_unhealthy() -> None:
    assert after(OK, OK, BAD, BAD).health is Health.HEALTHY
    assert after(OK, OK, BAD, BAD).detail == "refused"
    assert after(OK, OK, BAD, BAD, OK, BAD).health is Health.HEALTHY
    assert after(OK, OK, BAD, BAD, BAD).health is Health.UNHEALTHY
    assert after(OK, OK, BAD, BAD, BAD, OK).health is Health.UNHEALTHY
    assert after(OK, OK, BAD, BAD, BAD, OK, OK).health is Health.HEALTHY


def test_a_healthy_one_is_degraded_at_once_when_it_says_so() -> None:
    assert after(OK, OK, SO_SO).health is Health.DEGRADED


def test_what_has_not_been_well_is_not_ill() -> None:
    judgement = after(*[BAD] * 20)
    assert (judgement.health, judgement.detail) == (Health.UNKNOWN, "refused")
    assert after(*[BAD] * 3, ready=True).health is Health.UNHEALTHY


def test_failures_in_the_start_period_do_not_count() -> None:
    assert after(OK, OK, *[BAD] * 5, age=5).health is Health.HEALTHY


def test_a_start_is_probed_often_and_then_ever_less() -> None:
    pauses, judgement = [], Judgement()
    while len(pauses) < 40:
        pauses.append(pause_after(judgement, SPEC, 0.5))
        judgement = judge(judgement, SPEC, BAD, 1)
    assert pauses[0] <= 0.02
    assert pauses == sorted(pauses)
    assert pauses[-1] == SPEC.interval
    assert sum(pauses[:10]) < 1.5


@given(st.lists(st.sampled_from([OK, BAD, SO_SO])), st.floats(0, 1), st.floats(0, 100), st.booleans())
def test_pauses_stay_in_their_bounds(results: list[ProbeResult], chance: float, age: float, ready: bool) -> None:
    judgement = after(*results, age=age, ready=ready)
    assert 0 < pause_after(judgement, SPEC, chance) <= SPEC.interval * 1.1
    assert judgement.good == 0 or judgement.bad == 0
