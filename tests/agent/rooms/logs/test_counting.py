import asyncio
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.room import Logs
from bhtui.core.logfields import Condition, parse
from bhtui.core.logs import BUCKETS, LogCounts, LogLine, LogsQuery, bucket_for
from tests.agent.rooms.logs.logmaker import START, Writer, line

SECOND = 1_000_000_000
TEXTS = st.sampled_from(["INFO a", "ERROR b", "plain", '{"level":"warn","msg":"c","n":5}', "level=debug n=7"])
WRITTEN = st.lists(st.tuples(st.integers(0, 5), TEXTS, st.booleans()), max_size=30)


def _write(folder: Path, instance: str, script: list[tuple[int, str, bool]]) -> None:
    writer, now = Writer(folder / "s" / f"{instance}.log"), START
    for pause, text, rotate in script:
        now += pause * SECOND
        writer.put(line(now, text))
        if rotate:
            writer.rotate()


async def _both(folder: Path, query: LogsQuery, bucket_ns: int, most: int) -> tuple[list[LogLine], LogCounts]:
    room = Logs(folder, lambda: {"s"})
    try:
        lines = [each async for batch in room.read(query) for each in batch.lines]
        counts = [each async for each in room.count(query, bucket_ns, most)]
        assert [each.done for each in counts] == [False] * (len(counts) - 1) + [True]
        return lines, counts[-1]
    finally:
        room.close()


QUERIES = st.sampled_from(
    [
        LogsQuery(),
        LogsQuery(grep="a"),
        LogsQuery(level="warning"),
        LogsQuery(since_ns=START + 3 * SECOND, until_ns=START + 20 * SECOND),
        LogsQuery(fields=("n>4",)),
        LogsQuery(fields=("n!=5",), grep="a", invert=True),
    ]
)


@settings(max_examples=150, deadline=None)
@given(WRITTEN, WRITTEN, QUERIES, st.sampled_from([0, SECOND, 10 * SECOND]))
def test_a_count_is_the_number_of_lines_that_are_read(tmp_path_factory, one, two, query, bucket_ns):
    folder = tmp_path_factory.mktemp("logs")
    _write(folder, "s-1", one)
    _write(folder, "s-2", two)
    lines, counts = asyncio.run(_both(folder, query, bucket_ns, 10))
    assert not counts.counts or counts.bucket_ns == (bucket_ns or counts.bucket_ns)
    expected = Counter(
        (each.instance, each.level, each.time_ns // counts.bucket_ns * counts.bucket_ns) for each in lines
    )
    assert {(each.instance, each.level, each.start_ns): each.lines for each in counts.counts} == dict(expected)
    assert sum(each.bytes for each in counts.counts) == sum(len(each.message) for each in lines)
    if not bucket_ns:
        assert len({each.start_ns for each in counts.counts}) <= 10


def test_what_the_log_says_is_missing_is_counted_where_it_says_so(tmp_path):
    writer = Writer(tmp_path / "s" / "s-1.log")
    over = "[blackhole] 70 lines (900 bytes) dropped here: over the rate limit of 9 lines in 30 s"
    writer.put(line(START, "a"), line(START + 1, over, "stderr"), line(START + 2, f"it said {over}", "stderr"))
    writer.rotate()
    writer.put(line(START + 5 * SECOND, "[blackhole] 8 lines lost here: no space left on device", "stderr"))
    _, counts = asyncio.run(_both(tmp_path, LogsQuery(), SECOND, 10))
    assert [(each.start_ns - START // SECOND * SECOND, each.lines, each.missing) for each in counts.counts] == [
        (0, 3, 70),
        (5 * SECOND, 1, 8),
    ]
    _, counts = asyncio.run(_both(tmp_path, LogsQuery(since_ns=START + SECOND, grep="nothing"), SECOND, 10))
    assert [(each.lines, each.missing) for each in counts.counts] == [(0, 8)]


@given(st.integers(0, 100 * 86400 * SECOND), st.integers(2, 100))
def test_a_bucket_is_the_finest_that_covers_the_time(span, most):
    bucket = bucket_for(span, most)
    assert bucket == BUCKETS[-1] or span // bucket + 2 <= most
    assert all(after % before == 0 for before, after in pairwise(BUCKETS))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["n", "ab", "c.d", "é"]), st.sampled_from([1, 5, "x", "5", None]), max_size=3)
    ),
    st.sampled_from(["n=5", "n!=5", "n>1", "ab=x", "ab~x|5", "c.d=x", "é=x", "ab=null", "none=1"]),
    st.sampled_from(["", "x", "5"]),
    st.booleans(),
    st.booleans(),
)
def test_a_search_by_field_in_blocks_equals_one_in_each_line(tmp_path_factory, objects, field, grep, invert, ignore):
    folder = tmp_path_factory.mktemp("logs")
    writer, texts = Writer(folder / "s" / "s-1.log"), [json.dumps(each, ensure_ascii=False) for each in objects]
    for at, text in enumerate(texts):
        writer.put(line(START + at, text))
    query = LogsQuery(fields=(field,), grep=grep, invert=invert, ignore_case=ignore)
    lines, _ = asyncio.run(_both(folder, query, SECOND, 10))

    def wanted(text: str) -> bool:
        found = parse(text)
        greps = not grep or (grep in text) != invert
        return greps and found is not None and Condition.read(field).holds(found.values)

    assert [each.message for each in lines] == [text for text in texts if wanted(text)]
