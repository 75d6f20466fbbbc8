"""The rate limit of a log: what is kept, what is counted, and what the log says of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.keeper.capture import Capture, Logs
from bhtui.keeper.loop import Loop
from bhtui.keeper.ratelimit import SECOND, RateLimit, sift
from tests.keeper.support import Running, log_lines, python
from tests.waiting import until

SELF = [sys.executable, "-m", "bhtui.keeper"]
TOLD = re.compile(r"\[blackhole\] (\d+) lines \((\d+) bytes\) dropped here: over the rate limit of (.+)")
LIMIT = {"rate_lines": 100, "rate_s": 3600}
START = 1_800_000_000 * SECOND


def sifted(rate: RateLimit, chunk: bytes, now: int, skipping: bool) -> tuple[bytes, int, int, bool]:
    """What is kept, the lines and bytes that are not, and whether the line under way is dropped."""
    start, cut, skipping = sift(rate, chunk, now, skipping)
    dropped = chunk[:start] + chunk[cut:]
    return chunk[start:cut], dropped.count(b"\n"), len(dropped), skipping


line = st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"") + b"\n")
chunks = st.lists(st.tuples(st.lists(line, max_size=8).map(b"".join), st.binary(max_size=6), st.integers(0, 3)))


@given(chunks, st.integers(0, 9), st.integers(0, 60))
def test_every_byte_is_kept_or_counted(pieces: list[tuple[bytes, bytes, int]], lines: int, size: int) -> None:
    rate, skipping, now = RateLimit(lines, size, 1), False, START
    kept, dropped_lines, dropped_size, everything = b"", 0, 0, b""
    for whole, rest, wait in pieces:
        now += wait * SECOND // 2
        chunk = whole + rest
        if not chunk:
            continue
        everything += chunk
        was_skipping = skipping
        part, count, amount, skipping = sifted(rate, chunk, now, skipping)
        assert len(part) + amount == len(chunk)
        assert count == chunk.count(b"\n") - part.count(b"\n")
        assert chunk.endswith(part) or chunk.startswith(part) or was_skipping
        assert part.endswith(b"\n") or not part or chunk.endswith(part)
        assert not (part and skipping) or part.endswith(b"\n")
        kept, dropped_lines, dropped_size = kept + part, dropped_lines + count, dropped_size + amount
    assert kept.count(b"\n") + dropped_lines == everything.count(b"\n")
    assert len(kept) + dropped_size == len(everything)
    if not (lines or size):
        assert kept == everything


@given(st.integers(1, 50), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_a_stretch_has_no_more_lines_than_allowed(lines: int, counts: list[int]) -> None:
    rate = RateLimit(lines, 0, 1)
    kept = [sifted(rate, b"x\n" * count, START, False)[0].count(b"\n") for count in counts]
    assert sum(kept) == min(lines, sum(counts))
    assert sifted(rate, b"x\n", START + SECOND - 1, False)[0] == (b"x\n" if sum(counts) < lines else b"")
    assert sifted(rate, b"x\n", START + SECOND, False)[0] == b"x\n"


def test_the_size_is_passed_by_one_line_at_most() -> None:
    rate = RateLimit(0, 10, 1)
    assert sifted(rate, b"123456\n123456\n123456\n", START, False) == (b"123456\n123456\n", 1, 7, False)
    assert sifted(rate, b"x\n", START, False) == (b"", 1, 2, False)
    assert sifted(rate, b"a line longer than all\nx", START + SECOND, False) == (
        b"a line longer than all\n",
        0,
        1,
        True,
    )
    assert sifted(rate, b"yz\nnext\n", START + 2 * SECOND, True) == (b"next\n", 1, 3, False)


def test_a_clock_set_back_begins_a_new_stretch() -> None:
    rate = RateLimit(1, 0, 60)
    assert sifted(rate, b"a\nb\n", START, False)[0] == b"a\n"
    assert sifted(rate, b"c\n", START - 9 * SECOND, False)[0] == b"c\n"


def test_what_is_left_goes_to_the_next_version() -> None:
    rate = RateLimit(5, 0, 60)
    sifted(rate, b"x\n" * 3, START, False)
    rate.drop(7, 70, START)
    again = RateLimit.load(rate.dump())
    assert sifted(again, b"x\n" * 3, START, False) == (b"x\n" * 2, 1, 2, False)
    counted = {"lines": 7, "bytes": 70, "last_ns": START}
    assert again.stats() == {**counted, "limit": "5 lines in 60 s", "seconds": 60}


def test_the_first_lines_are_kept_and_the_rest_is_told_of(keeper: Running) -> None:
    keeper.sh("a-1#1", "for i in $(seq 1000); do echo $i; done", log=LIMIT)
    keeper.ended("a-1#1")
    until(lambda: "dropped here" in keeper.texts("a-1#1")[-1], what="the marker")
    *kept, last = keeper.texts("a-1#1")
    assert kept == [str(number) for number in range(1, 101)]
    told = TOLD.fullmatch(last)
    assert told and (told[1], told[3]) == ("900", "100 lines in 3600 s")
    size = sum(len(str(number)) + 1 for number in range(101, 1001))
    assert int(told[2]) == size
    found = keeper.ask("stats")["limited"][str(keeper.log("a-1#1"))]
    assert (found["lines"], found["bytes"]) == (900, size)
    # Started again in the same hour: it may not begin anew.
    keeper.sh("a-1#2", "echo again", log=LIMIT)
    keeper.ended("a-1#2")
    until(lambda: len(keeper.texts("a-1#1")) == 102, what="the second marker")
    assert keeper.texts("a-1#1")[-1].startswith("[blackhole] 1 lines (6 bytes) dropped here")


def test_one_that_falls_silent_is_told_of_when_the_time_is_over(keeper: Running) -> None:
    keeper.sh("a-1#1", "seq 50; exec sleep 1000", log={"rate_lines": 10, "rate_s": 0.3})
    until(lambda: len(keeper.texts("a-1#1")) == 11, what="the marker")
    assert keeper.texts("a-1#1")[-1].startswith("[blackhole] 40 lines")


def test_a_flood_is_bounded_and_every_line_is_there_or_counted(keeper: Running) -> None:
    code = "import sys\nfor n in range(400_000): sys.stdout.write(f'{n} some text\\n')"
    keeper.spawn("a-1#1", python(code), log={"rate_lines": 500, "rate_s": 0.05})
    for _ in range(3):
        keeper.ask("upgrade", argv=SELF)
    keeper.ended("a-1#1")
    until(lambda: keeper.entry("a-1#1") and not keeper.ask("stats")["logs"].get(str(keeper.log("a-1#1"))), what="end")
    at, dropped = 0, 0
    for text in keeper.texts("a-1#1"):
        if told := TOLD.fullmatch(text):
            at, dropped = at + int(told[1]), dropped + int(told[1])
        else:
            assert int(text.split()[0]) == at
            at += 1
    assert at == 400_000
    assert dropped > 0
    assert keeper.ask("stats")["limited"][str(keeper.log("a-1#1"))]["lines"] == dropped


def test_another_limit_takes_hold_at_once(keeper: Running) -> None:
    keeper.sh("a-1#1", "while read x; do echo $x; done < $PIPE", env={"PIPE": _fifo(keeper), "PATH": "/bin:/usr/bin"})
    with open(_fifo(keeper), "w", buffering=1) as service:
        service.write("1\n2\n3\n")
        until(lambda: len(keeper.texts("a-1#1")) == 3)
        keeper.ask("bound", key="a-1#1", log={"path": str(keeper.log("a-1#1")), "rate_lines": 1, "rate_s": 3600})
        service.write("4\n5\n6\n")
        until(lambda: keeper.ask("stats")["limited"], what="drops")
        until(lambda: keeper.ask("stats")["limited"][str(keeper.log("a-1#1"))]["lines"] == 2)
        keeper.ask("bound", key="a-1#1", log={"path": str(keeper.log("a-1#1"))})
        service.write("7\n")
        until(lambda: keeper.texts("a-1#1")[-1] == "7", what="the line without limit")
    keeper.ended("a-1#1")
    assert keeper.texts("a-1#1")[:4] == ["1", "2", "3", "4"]
    assert keeper.texts("a-1#1")[4:] == ["[blackhole] 2 lines (4 bytes) dropped here: over the rate limit", "7"]


def _fifo(keeper: Running) -> str:
    path = keeper.root / "fifo"
    if not path.exists():
        os.mkfifo(path)
    return str(path)


@pytest.mark.parametrize("log", [{"path": "elsewhere"}, {}, {"path": 1, "rate_s": "x"}])
def test_a_bound_that_makes_no_sense_changes_nothing(keeper: Running, log: dict[str, object]) -> None:
    keeper.sh("a-1#1", "sleep 1000")
    before = keeper.list()
    with pytest.raises(Exception, match=r"cannot bound"):
        keeper.ask("bound", key="a-1#1", log=log)
    assert keeper.list() == before


def test_a_long_line_that_is_cut_off_does_not_run_into_the_next(keeper: Running) -> None:
    code = "import sys, time\nfor _ in range(40): sys.stdout.write('x' * 50_000); sys.stdout.flush()\n"
    code += "sys.stdout.write('\\n'); sys.stdout.flush(); time.sleep(0.4); print('next')"
    keeper.spawn("a-1#1", python(code), log={"rate_bytes": 500_000, "rate_s": 0.3})
    keeper.ended("a-1#1")
    until(lambda: keeper.texts("a-1#1")[-1] == "next", what="the next line")
    flags = [record.split(b" ", 3)[2] for record in keeper.lines("a-1#1") if b"[blackhole]" not in record]
    assert flags[-2:] == [b"F", b"F"]
    assert set(flags[:-2]) == {b"P"}


def test_what_a_killed_keeper_had_not_told_yet_its_successor_tells(tmp_path: Path) -> None:
    path, (read, write) = str(tmp_path / "a.log"), os.pipe()
    captures = []
    for texts in (b"1\n2\n3\nhalf", b" of a line\n4\n"):
        # A keeper that is killed leaves the pipe, and the tails in their memfd; all else is the successor's own.
        loop = Loop(pytest.fail)
        logs = Logs(loop)
        log = logs.take(path, 0, 0, 10, rate_lines=1, rate_s=3600)
        fds = {name: os.dup(fd) for name, fd in captures[-1].fds().items()} if captures else {"stdout": read}
        captures.append(Capture(loop, logs, log, fds, loop.stop))
        os.write(write, texts)
        captures[-1]._turn(captures[-1].pipes[0])
    os.close(write)
    captures[-1]._turn(captures[-1].pipes[0])
    kept = [record.split(b" ", 3)[3].decode() for record in log_lines(Path(path))]
    limit = "over the rate limit of 1 lines in 3600 s"
    # The successor begins a new stretch of time: of what came to it the first whole line is kept.
    assert kept == ["1", f"[blackhole] 3 lines (19 bytes) dropped here: {limit}", "4"]


@pytest.mark.parametrize(("state", "code"), [("1", 0), ("2", 0), ("3", 1), ("0", 1)])
def test_which_versions_it_takes_over_from(state: str, code: int) -> None:
    assert subprocess.run([*SELF, "--check", state], capture_output=True, check=False).returncode == code
