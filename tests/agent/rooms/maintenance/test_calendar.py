"""Windows in time, against a scan from the beginning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.maintenance.calendar import SECOND, Span, next_span, open_span
from bhtui.core.maintenance import WindowSpec

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kolkata"))
CRONS = ("0 2 * * SUN", "30 2 * * *", "*/15 * * * *", "0 0 1 * *", "59 23 * * MON-FRI", "30 1,2,3 * * *", "0 4 29 2 *")
FROM = datetime(2025, 1, 1, tzinfo=UTC)


def ns(moment: datetime) -> int:
    return round(moment.timestamp()) * SECOND


def spans(window: WindowSpec, zone: object, first: datetime, last: datetime) -> list[Span]:
    """Every window between two moments, by walking through all of them."""
    found: list[Span] = []
    for begin in CronSim(window.start, first.astimezone(zone)):  # type: ignore[arg-type]
        if begin.astimezone(UTC) > last:
            return found
        one = Span(ns(begin), ns(begin) + round(window.duration * SECOND))
        if found and one.begin_ns <= found[-1].end_ns:
            found[-1] = Span(found[-1].begin_ns, one.end_ns)
        else:
            found.append(one)
    return found


CHANGES = [datetime(2025, m, d, tzinfo=UTC) for m, d in ((3, 9), (3, 30), (4, 5), (10, 4), (10, 26), (11, 2))]
"""Days on which a clock is set in one of these zones."""
moments = st.one_of(
    st.integers(0, 500 * 86400).map(lambda seconds: FROM + timedelta(seconds=seconds)),
    st.tuples(st.sampled_from(CHANGES), st.integers(-86400, 2 * 86400)).map(
        lambda pair: pair[0] + timedelta(seconds=pair[1])
    ),
)


@settings(deadline=None)
@given(st.sampled_from(CRONS), st.sampled_from(ZONES), st.integers(1, 20 * 3600), moments)
def test_open_and_next_are_what_a_scan_finds(cron: str, zone: object, seconds: int, moment: datetime) -> None:
    seconds = min(seconds, 899) if "*/15" in cron else seconds  # it would be open for ever
    window = WindowSpec("w", cron, float(seconds))
    back = timedelta(days=5 if "*/15" in cron else 40)
    ahead = timedelta(days=1500 if "29 2" in cron else 40)
    all_of_them = spans(window, zone, moment - back, moment + ahead)
    now = ns(moment)
    expected = next((span for span in all_of_them if span.begin_ns <= now < span.end_ns), None)
    found = open_span(window, zone, now)  # type: ignore[arg-type]
    assert (found is None) == (expected is None)
    if found and expected:
        assert found.end_ns == expected.end_ns
        assert expected.begin_ns <= found.begin_ns <= now
    later = next((span for span in all_of_them if span.begin_ns > now and span is not expected), None)
    if later:
        assert next_span(window, zone, now) == later  # type: ignore[arg-type]


def test_a_window_in_the_hour_that_is_left_out_begins_right_after_it_and_lasts_as_long() -> None:
    window = WindowSpec("w", "30 2 * * *", 3600.0)
    found = open_span(window, BERLIN, ns(datetime(2026, 3, 29, 3, 0, tzinfo=BERLIN)))
    assert found == Span(ns(datetime(2026, 3, 29, 1, 0, tzinfo=UTC)), ns(datetime(2026, 3, 29, 2, 0, tzinfo=UTC)))
    assert open_span(window, BERLIN, ns(datetime(2026, 3, 29, 1, 59, tzinfo=BERLIN))) is None


def test_a_window_in_the_hour_that_comes_twice_opens_once() -> None:
    window = WindowSpec("w", "30 2 * * *", 600.0)
    first, second = (datetime(2026, 10, 25, 2, 35, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    assert sum(open_span(window, BERLIN, ns(moment)) is not None for moment in (first, second)) == 1


def test_a_duration_is_counted_as_it_passes() -> None:
    """Two hours from one o'clock in the night in which the clock is put back end at two o'clock for the second time."""
    window = WindowSpec("w", "0 1 * * *", 7200.0)
    found = open_span(window, BERLIN, ns(datetime(2026, 10, 25, 1, 30, tzinfo=BERLIN)))
    assert found is not None
    assert datetime.fromtimestamp(found.end_ns / SECOND, BERLIN) == datetime(2026, 10, 25, 2, 0, tzinfo=BERLIN, fold=1)


def test_what_never_comes_again_is_said_so() -> None:
    window = WindowSpec("w", "0 2 * * SUN", 60.0)
    assert open_span(window, UTC, ns(datetime(2026, 3, 1, 2, 0, tzinfo=UTC))) is not None
    assert open_span(window, UTC, ns(datetime(2026, 3, 1, 2, 1, tzinfo=UTC))) is None
