import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.room import Logs
from bhtui.core.logs import LogsQuery
from tests.agent.rooms.logs.logmaker import START, Writer, line

# Each letter is a line; `x` is what is searched for, `/` a rotation.
SCRIPTS = st.text("abx/", max_size=40)


def _write(folder: Path, instance: str, script: str, step: int, first: int = 0) -> list[tuple[int, str]]:
    writer, written = Writer(folder / "s" / f"{instance}.log"), []
    for at, letter in enumerate(script):
        if letter == "/":
            writer.rotate()
            continue
        time_ns = START + first + at * step
        writer.put(line(time_ns, f"{letter} {instance} {at}"))
        written.append((time_ns, f"{letter} {instance} {at}"))
    return written


def _around(written: list[tuple[int, str]], count: int, tail: int) -> list[tuple[str, bool]]:
    """As grep does it, on one file."""
    hits = [at for at, (_, text) in enumerate(written) if text.startswith("x")]
    hits = hits[-tail:] if tail else hits
    near = {at + off for at in hits for off in range(-count, count + 1)}
    return [(text, at not in hits) for at, (_, text) in enumerate(written) if at in near]


async def _read(folder: Path, query: LogsQuery) -> list[tuple[str, bool]]:
    room = Logs(folder, lambda: {"s"})
    try:
        return [(each.message, each.context) async for batch in room.read(query) for each in batch.lines]
    finally:
        room.close()


@settings(max_examples=150, deadline=None)
@given(SCRIPTS, st.integers(1, 4), st.integers(0, 3))
def test_context_is_that_of_grep_across_rotations(tmp_path_factory, script, count, tail):
    folder = tmp_path_factory.mktemp("logs")
    written = _write(folder, "s-1", script, 1000)
    found = asyncio.run(_read(folder, LogsQuery(names=("s",), grep="^x", context=count, tail=tail)))
    expected = _around(written, count, tail)
    if tail:
        # A line that matches before the newest ones may be context of the first of them.
        expected = [(text, context and not text.startswith("x")) for text, context in expected]
        found = [(text, context and not text.startswith("x")) for text, context in found]
    assert found == expected


@settings(max_examples=80, deadline=None)
@given(SCRIPTS, SCRIPTS, st.integers(1, 3))
def test_context_is_of_the_same_instance_and_all_is_in_order(tmp_path_factory, one, two, count):
    folder = tmp_path_factory.mktemp("logs")
    written = [_write(folder, "s-1", one, 1000), _write(folder, "s-2", two, 1000, first=500)]
    found = asyncio.run(_read(folder, LogsQuery(names=("s",), grep="^x", context=count)))
    expected = [each for lines in written for each in _around(lines, count, 0)]
    times = {text: time_ns for lines in written for time_ns, text in lines}
    assert sorted(found) == sorted(expected)
    assert [times[text] for text, _ in found] == sorted(times[text] for text, _ in found)


def test_followed_lines_have_context_from_what_was_there_before(tmp_path):
    async def run() -> list[tuple[str, bool]]:
        writer = Writer(tmp_path / "s" / "s-1.log")
        writer.put(line(START, "before"))
        room, seen = Logs(tmp_path, lambda: {"s"}), []
        async for batch in room.read(LogsQuery(names=("s",), grep="^x", context=1, follow=True)):
            seen += [(each.message, each.context) for each in batch.lines]
            if batch.caught_up:
                writer.put(line(START + 1, "x"), line(START + 2, "after"), line(START + 3, "not this"))
            if len(seen) == 3:
                break
        room.close()
        return seen

    found = asyncio.run(asyncio.wait_for(run(), 60))
    assert found == [("before", True), ("x", False), ("after", True)]


async def test_groups_of_context_are_parted_where_lines_were_left_out(tmp_path):
    _write(tmp_path, "s-1", "xabbbbxbxabbbbb" + "x", 1000)
    room = Logs(tmp_path, lambda: {"s"})
    query = LogsQuery(names=("s",), grep="^x", context=1)
    found = [each async for batch in room.read(query) for each in batch.lines]
    room.close()
    assert "".join("|" * each.gap + each.message[0] for each in found) == "xa|bxbxa|bx"
