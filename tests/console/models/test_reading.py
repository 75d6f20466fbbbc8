from collections import Counter

from bhtui.console.models.logs import LogFilter, Same
from bhtui.console.models.match import parse_log
from bhtui.console.models.reading import ALL, BUCKETS, MOST, PAGE, TAIL, Asking, first_of, strip_range, unknown
from bhtui.rpc.blackhole.v1 import logs_pb2

S = 10**9
ASKING = Asking(("api",), LogFilter(parse_log("refused status>=500"), 4), "web", frozenset({"api-1"}))


def test_the_tail_is_filtered_by_the_view_and_a_stretch_of_time_by_the_host():
    tail = ASKING.newest(0, 100 * S)
    assert (tail.tail, tail.since_ns, tail.grep, tail.level, tail.follow) == (TAIL, 0, "", "", True)
    hour = ASKING.newest(60, 100 * S)
    assert (hour.tail, hour.since_ns, hour.grep, hour.level) == (MOST, 40 * S, "refused", "warning")
    assert list(hour.fields) == ["status>=500"]
    assert ASKING.newest(ALL, 100 * S).since_ns == 0


def test_a_moment_has_a_page_before_it_and_everything_after_it():
    before, after = ASKING.before(50 * S), ASKING.after(50 * S)
    assert (before.until_ns, before.tail, before.follow) == (50 * S, PAGE, False)
    assert (after.since_ns, after.until_ns, after.follow) == (50 * S, 0, True)


def test_an_error_is_looked_for_outside_of_what_is_loaded():
    older, newer = ASKING.worse(5, -1, 10 * S, 3), ASKING.worse(5, 1, 20 * S, 3)
    # Of the moments at the edges some lines are loaded and others may not be.
    assert (older.until_ns, older.tail, older.level) == (10 * S + 1, 4, "error")
    assert (newer.since_ns, newer.tail, newer.level) == (20 * S, 0, "error")
    page = ASKING.older(10 * S, 3)
    assert (page.until_ns, page.tail) == (10 * S + 1, PAGE + 3)
    # A filter that wants worse is not made wider.
    assert Asking((), LogFilter(rank=5)).worse(4, -1, 1, 0).level == "error"


def test_of_several_hosts_the_nearest_line_counts():
    lines = [logs_pb2.LogLine(time_ns=5), None, logs_pb2.LogLine(time_ns=9)]
    assert first_of(lines, -1) == lines[2]
    assert first_of(lines, 1) == lines[0]
    assert first_of([None], 1) is None


def test_counts_are_fewer_where_there_are_many_instances():
    assert ASKING.counts(0, 0).most == BUCKETS
    many = Asking((), LogFilter(), "web", frozenset(f"api-{n}" for n in range(200)))
    assert many.counts(0, 0).most == 20


def test_the_strip_moves_with_the_end_and_stays_in_the_past():
    live = strip_range(60, 1000 * S, 0, (0, 0), 0)
    assert live == (940 * S, 1000 * S)
    assert strip_range(60, 1010 * S, 950 * S, live, 0) == live
    assert strip_range(60, 1010 * S, 500 * S, live, 0) == (470 * S, 530 * S)
    assert strip_range(ALL, 1000 * S, 0, live, 100 * S) == (100 * S, 1000 * S)


def test_a_line_that_is_loaded_is_not_found_again():
    lines = [logs_pb2.LogLine(time_ns=5, instance="api-1", message=text) for text in ("a", "a", "b")]
    loaded = Counter([Same(5, "api-1", "a")])
    assert unknown(lines, loaded.copy(), 1) == lines[1]
    assert unknown(lines, loaded.copy(), -1) == lines[2]
    assert unknown(lines[:1], loaded.copy(), 1) is None
