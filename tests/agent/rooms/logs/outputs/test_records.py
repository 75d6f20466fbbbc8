"""Blocks become the lines that were written, whatever the blocks' bounds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.logs import levels
from bhtui.agent.rooms.logs.outputs.records import Reader
from tests.agent.rooms.logs.logmaker import START, line

TEXTS = st.lists(st.tuples(st.binary(max_size=30), st.booleans(), st.integers(0, 2), st.integers(1, 3)), max_size=30)


@given(TEXTS, st.integers(1, 10))
def test_lines_are_those_that_were_written(texts, block_lines):
    raw, expected = [], []
    time_ns = START
    for text, to_stderr, step, parts in texts:
        clean, stream = text.replace(b"\n", b" "), "stderr" if to_stderr else "stdout"
        time_ns += step
        raw += [line(time_ns, clean, stream, "P" if part < parts - 1 else "F") for part in range(parts)]
        expected.append((stream, clean * parts, time_ns))
    reader, found, offset = Reader("api", "api-1"), [], 0
    for at in range(0, len(raw), block_lines):
        block = b"".join(raw[at : at + block_lines])
        found += reader.feed(block, 0, "head", offset)
        offset += len(block)
    assert [(each.stream, each.text, each.time_ns) for each in found] == expected
    orders = [each.order_ns for each in found]
    assert all(before < after for before, after in itertools.pairwise(orders))
    assert len({each.place for each in found}) == len(found)
    assert all(each.level == levels.detect(each.text) for each in found)


def test_the_lowest_level_leaves_out_what_is_below_and_what_has_none():
    block = b"".join(line(START, text) for text in ("ERROR a", "INFO b", "no level", "WARN c", "FATAL d"))
    reader = Reader("api", "api-1", levels.rank("warning"))
    assert [each.text for each in reader.feed(block, 0, "", 0)] == [b"ERROR a", b"WARN c", b"FATAL d"]


def test_what_is_not_in_the_format_is_sent_as_it_is():
    block = line(START, "a") + b"somebody wrote here\n" + line(START + 1, "b")
    assert [each.text for each in Reader("api", "api-1").feed(block, 0, "", 0)] == [b"a", b"somebody wrote here", b"b"]


def test_where_a_line_under_way_began_is_known():
    reader = Reader("api", "api-1")
    first, second = line(START, "one"), line(START, "two ", flag="P")
    reader.feed(first + second, 3, "", 100)
    assert reader.begun == (3, 100 + len(first), START)
    assert [each.text for each in reader.feed(line(START, "end"), 4, "", 0)] == [b"two end"]
    assert reader.begun is None
