"""The log of a unit or container: whatever is killed when, each line is there once."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign import capture
from bhtui.agent.foreign.capture import Captured, Line
from bhtui.agent.rooms.logs import cri
from bhtui.core.spec import RateSpec, RotateSpec

AT = 1_795_514_508_000_000_000
KEEP_ALL = RotateSpec(max_backups=1000)


def _texts(path: Path) -> list[bytes]:
    """All lines, rotated ones first."""
    files = [*sorted(file for file in path.parent.glob("*.log") if file != path), path]
    found = [cri.parse(line) for file in files for line in file.read_bytes().splitlines()]
    assert all(found)
    return [record.text for record in found if record]


def _lines(first: int, last: int) -> list[Line]:
    return [Line(AT + number * 1000, "stdout", b"line %d" % number) for number in range(first, last)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["save", "crash", "close"])), max_size=12), st.booleans())
def test_after_any_crash_every_line_is_there_once(steps: list[tuple[int, str]], small: bool) -> None:
    """The source is the numbers; a mark is the number of the next one, as a manager would tell it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "web-1.log")
        rotate = RotateSpec(max_size=200 if small else 1 << 20, max_backups=1000)
        log, written = Captured(path, rotate), 0
        mark, behind = log.open()
        for count, then in steps:
            at = mark.get("next", 0) + behind
            assert at == written
            log.write(_lines(at, at + count), {"next": at + count})
            written = at + count
            if then == "save":
                log.save()
                mark, behind = {"next": written}, 0
            else:
                if then == "close":
                    log.close()
                log = Captured(path, rotate)
                mark, behind = log.open()
        log.close()
        assert _texts(path) == [line.text for line in _lines(0, written)]


def test_lines_bring_their_time_and_never_go_back(tmp_path: Path) -> None:
    log = Captured(tmp_path / "web-1.log", KEEP_ALL)
    log.open()
    log.write([Line(AT + 5, "stdout", b"a"), Line(AT + 3, "stderr", b"b"), Line(0, "stdout", b"c")], {})
    log.close()
    found = [cri.parse(line) for line in (tmp_path / "web-1.log").read_bytes().splitlines()]
    assert [record.time_ns - AT for record in found if record] == [5, 5, 5]


def test_an_older_output_begins_a_file_of_its_own(tmp_path: Path) -> None:
    log = Captured(tmp_path / "web-1.log", KEEP_ALL)
    log.open()
    log.write([Line(AT, "stdout", b"of another container")], {})
    log.write([Line(AT - 3600 * 10**9, "stdout", b"older")], {})
    log.close()
    assert (tmp_path / "web-1.log").read_bytes().endswith(b" older\n")
    assert len(list(tmp_path.glob("*.log"))) == 2


def test_a_line_whose_end_never_came_does_not_swallow_the_next(tmp_path: Path) -> None:
    log = Captured(tmp_path / "web-1.log", KEEP_ALL)
    log.open()
    log.write([Line(AT, "stdout", b"half", partial=True)], {"n": 1})
    log.end_parts()
    log.end_parts()
    log.write([Line(AT, "stdout", b"next")], {"n": 2})
    found = [cri.parse(line) for line in (tmp_path / "web-1.log").read_bytes().splitlines()]
    assert [(record.partial, record.text) for record in found if record] == [
        (True, b"half"),
        (False, b""),
        (False, b"next"),
    ]
    assert Captured(tmp_path / "web-1.log", KEEP_ALL).open() == ({"n": 1}, 1)


def test_a_broken_mark_is_as_none(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"cursor": 5}', '{"cursor": {}, "inode": "x"}'):
        (tmp_path / "web-1.cursor").write_text(text)
        log = Captured(tmp_path / "web-1.log", KEEP_ALL)
        assert log.open() == ({}, 0)


def test_a_mark_is_saved_now_and_then(tmp_path: Path) -> None:
    log = Captured(tmp_path / "web-1.log", KEEP_ALL)
    log.open()
    log._saved -= capture.SAVE_SECONDS
    log.write([Line(AT, "stdout", b"a")], {"n": 1})
    log.write([Line(AT, "stdout", b"b")], {"n": 2})
    assert Captured(tmp_path / "web-1.log", KEEP_ALL).open() == ({"n": 1}, 1)


def _numbered(first: int, last: int, gap_ns: int = 1000) -> list[Line]:
    """A line each `gap_ns`."""
    return [Line(AT + number * gap_ns, "stdout", b"line %d" % number) for number in range(first, last)]


def _accounted(path: Path) -> tuple[list[int], int]:
    """The numbers that are there, and how many the log says are not; each gap must be told at its place."""
    numbers, at, gone = [], 0, 0
    for text in _texts(path):
        if told := re.fullmatch(rb"\[blackhole\] (\d+) lines \(\d+ bytes\) dropped here: over the rate limit.*", text):
            at, gone = at + int(told[1]), gone + int(told[1])
        else:
            assert text == b"line %d" % at
            numbers.append(at)
            at += 1
    return numbers, gone


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["save", "crash", "close"])), max_size=8))
def test_what_is_over_the_limit_is_told_at_its_place_whatever_is_killed(steps: list[tuple[int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, rate = Path(folder, "web-1.log"), RateSpec(lines=5, per=1.0)
        log, written = Captured(path, KEEP_ALL, rate), 0
        mark, behind = log.open()
        for count, then in steps:
            at = mark.get("next", 0) + behind
            assert at == written
            log.write(_numbered(at, at + count, 60_000_000), {"next": at + count})
            written = at + count
            mark, behind = {"next": written}, 0
            if then != "save":
                if then == "close":
                    log.close()
                log = Captured(path, KEEP_ALL, rate)
                mark, behind = log.open()
        told = log.settle()
        log.close()
        numbers, gone = _accounted(path)
        assert len(numbers) + gone == written
        assert (told["lines"] if told else 0) == gone
        # Seventeen lines a second come, five of them are kept.
        assert len(numbers) <= 5 * (written // 17 + 2 + len(steps))


def test_what_was_read_late_is_no_flood(tmp_path: Path) -> None:
    log = Captured(tmp_path / "web-1.log", KEEP_ALL, RateSpec(lines=5, per=1.0))
    log.open()
    log.write(_numbered(0, 300, 250_000_000), {})
    assert log.settle() is None
    assert len(_texts(tmp_path / "web-1.log")) == 300


def test_a_long_line_is_dropped_whole_and_one_that_was_begun_is_ended(tmp_path: Path) -> None:
    log = Captured(tmp_path / "web-1.log", KEEP_ALL, RateSpec(bytes=10, per=1.0))
    log.open()
    part = Line(AT, "stdout", b"x" * 8, partial=True)
    log.write([part, part, part, Line(AT, "stdout", b"end")], {})
    log.write([Line(AT + 10**9, "stdout", b"next")], {})
    assert _texts(tmp_path / "web-1.log") == [
        b"x" * 8, b"x" * 8, b"", b"[blackhole] 1 lines (12 bytes) dropped here: over the rate limit of 10 bytes in 1 s",
        b"next",
    ]  # fmt: skip
    assert [dropped["lines"] for dropped in [log.settle()] if dropped] == [1]


def test_the_silent_are_told_of_too_and_the_count_outlives_the_agent(tmp_path: Path) -> None:
    path, rate = tmp_path / "web-1.log", RateSpec(lines=2, per=3600.0)
    log = Captured(path, KEEP_ALL, rate)
    log.open()
    now = time.time_ns()
    log.write([Line(now, "stdout", b"line %d" % number) for number in range(9)], {"n": 9})
    assert len(_texts(path)) == 2, "more may come in this stretch of time"
    after = Captured(path, KEEP_ALL, rate)
    assert after.open() == ({"n": 9}, 0)
    after.write([Line(now + 1, "stdout", b"line 9")], {"n": 10})
    assert len(_texts(path)) == 2, "the stretch of time is the same"
    after.limit(KEEP_ALL, RateSpec())
    told = after.settle()
    assert told
    assert told["lines"] == 8
    assert _accounted(path) == ([0, 1], 8)
