"""A log stream that is taken up again: each line once."""

from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.logs import LogBatch, LogLine, LogPlace
from bhtui.rpc.blackhole.v1 import logs_pb2
from bhtui.rpc.convert.logs import batch_to_message, lines_of, place_to_message
from bhtui.rpc.resume import LogResume

times = st.lists(st.integers(1, 12).map(lambda n: n * 500_000_000), max_size=30).map(sorted)


def line(time_ns, message="same"):
    return LogLine(time_ns, "a", "a-1", "stdout", "", message)


@given(times, times, st.booleans(), st.integers(1, 4))
def test_the_past_goes_on_in_the_middle_of_a_moment(first, more, columns, size):
    """The server has all lines; the connection is lost after some; what is asked for again begins with a moment of
    which some were seen."""
    last = first[-1] if first else 0
    there = [line(time) for time in first] + [line(last + time) for time in [0, *more]]
    resume, got = LogResume(), 0
    for start in range(0, len(first), size):
        batch = batch_to_message(LogBatch(tuple(there[start : min(start + size, len(first))])), columns)
        got += len(lines_of(resume.new(batch)))
    request = resume.request(logs_pb2.LogsRequest(tail=10, follow=True))
    assert (request.tail, request.follow) == ((10, True) if not first else (0, True))
    again = [one for one in there if one.time_ns >= request.since_ns]
    for start in range(0, len(again), size):
        batch = batch_to_message(LogBatch(tuple(again[start : start + size])), columns)
        got += len(lines_of(resume.new(batch)))
    assert got == len(there)


def test_what_is_followed_goes_on_at_the_last_places():
    resume, wanted = LogResume(), logs_pb2.LogsRequest(tail=5, follow=True, grep="x")
    assert resume.request(wanted) is wanted
    one, other = LogPlace("a", "a-1", 7, 5, 100, 0), LogPlace("a", "a-2", 8, 5, 300, 2, (1, 2))
    resume.new(batch_to_message(LogBatch((line(1),), caught_up=True, places=(one, other))))
    moved = LogPlace("a", "a-1", 7, 5, 200, 0)
    resume.new(batch_to_message(LogBatch((line(2),), places=(moved,)), columns=True))
    request = resume.request(wanted)
    assert (request.tail, request.grep, request.since_ns) == (0, "x", 0)
    assert list(request.after) == [place_to_message(moved), place_to_message(other)]
    # Of a moment that was seen there may be lines that were not: nothing is told apart by what it says any more.
    assert len(lines_of(resume.new(batch_to_message(LogBatch((line(2),)))))) == 1
