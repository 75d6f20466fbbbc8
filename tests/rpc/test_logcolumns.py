"""Lines by column are the lines."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.logs import LEVELS, LogBatch, LogLine
from bhtui.rpc.blackhole.v1 import logs_pb2
from bhtui.rpc.convert.logs import batch_to_message, columns_of, lines_of, newest_of

LINES = st.lists(
    st.builds(
        LogLine, st.integers(0, 2**62), st.sampled_from(["api", "web"]), st.sampled_from(["api-1", "api-2"]),
        st.sampled_from(["stdout", "stderr"]), st.sampled_from(["", *LEVELS]),
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20),
        st.booleans(), st.booleans(),
    ),
    max_size=30,
)  # fmt: skip


@given(LINES, st.booleans())
def test_lines_arrive_as_they_were(lines, columns):
    sent = batch_to_message(LogBatch(tuple(lines)), columns).SerializeToString()
    message = logs_pb2.LogBatch.FromString(sent)
    assert lines_of(message) == lines
    found = columns_of(message, "web1", 5)
    assert [found.line(place) for place in range(len(found))] == lines
    assert found.times == [line.time_ns + 5 for line in lines]
    assert {of.host for of in found.origins} <= {"web1"}
    found.mark_late(len(lines) // 2)
    assert [of.late for of in found.origins] == [place < len(lines) // 2 for place in range(len(lines))]


def test_a_newline_in_a_line_never_shifts_those_behind_it():
    line = LogLine(1, "api", "api-1", "stdout", "", "a\nb")
    message = batch_to_message(LogBatch((line, replace(line, message=""))), columns=True)
    assert [each.message for each in lines_of(message)] == ["a\\nb", ""]


@given(LINES.filter(bool), st.integers(1, 40), st.booleans())
def test_the_newest_are_the_last(lines, count, columns):
    assert newest_of(batch_to_message(LogBatch(tuple(lines)), columns), count) == lines[-count:]
