"""The log of a unit or container: whatever is killed when, each line is there once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign import capture
from bhtui.agent.foreign.capture import Captured, Line
from bhtui.agent.rooms.logs import cri
from bhtui.core.spec import RotateSpec

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
