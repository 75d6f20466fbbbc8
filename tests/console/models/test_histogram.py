from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.histogram import SECOND, Column, columns, counted
from bhtui.rpc.blackhole.v1 import logs_pb2


def count(level: str, start: int, lines: int) -> logs_pb2.LogCount:
    return logs_pb2.LogCount(instance="api-1", level=level, start_ns=start * SECOND, lines=lines)


def test_counts_of_several_hosts_are_added_up_in_the_coarsest_bucket():
    fine = logs_pb2.LogCounts(bucket_ns=SECOND, counts=[count("error", 61, 2), count("", 62, 5)])
    coarse = logs_pb2.LogCounts(bucket_ns=60 * SECOND, counts=[count("warning", 60, 3)])
    found = counted(0, 120 * SECOND, [fine, coarse])
    assert found.bucket == 60 * SECOND
    assert found.columns == {60 * SECOND: Column(10, 3, 2)}
    assert counted(0, 1, []).columns == {}


def test_a_second_is_counted_by_the_host_or_by_the_view_never_by_both():
    past = counted(0, 10 * SECOND, [logs_pb2.LogCounts(bucket_ns=SECOND, counts=[count("error", 4, 7)])])
    seen = [(4 * SECOND, Column(7, 0, 7)), (12 * SECOND, Column(1, 1, 0))]
    found = columns(0, 20 * SECOND, 10, past, seen)
    assert found[2] == Column(7, 0, 7)
    assert found[6] == Column(1, 1, 0)
    assert sum(each.total for each in found) == 8
    assert columns(0, 20 * SECOND, 10, None, seen)[2] == Column(7, 0, 7)


@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 50)), max_size=20),
    st.integers(1, 60),
    st.sampled_from([1, 5, 10]),
)
def test_no_line_is_lost_whatever_the_width(counts, width, bucket):
    answer = logs_pb2.LogCounts(
        bucket_ns=bucket * SECOND, counts=[count("info", at // bucket * bucket, lines) for at, lines in counts]
    )
    found = columns(0, 20 * SECOND, width, counted(0, 20 * SECOND, [answer]), [])
    assert len(found) == width
    assert sum(each.total for each in found) == sum(lines for _, lines in counts)


def test_an_even_rate_has_no_waves():
    answer = logs_pb2.LogCounts(bucket_ns=5 * SECOND, counts=[count("info", at, 1000) for at in range(0, 900, 5)])
    totals = [each.total for each in columns(0, 900 * SECOND, 127, counted(0, 900 * SECOND, [answer]), [])]
    assert max(totals) < 1.4 * min(totals)
