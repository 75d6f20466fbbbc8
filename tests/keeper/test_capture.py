"""What a service writes and what is in its log."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from bhtui.keeper import proc
from bhtui.keeper.logfile import unstamp
from tests.keeper.support import Running, log_lines, python, skip, text_of
from tests.waiting import until

COUNT = "import sys\nfor number in range({count}): sys.stdout.write(f'{{number}} {text}\\n')"


def test_both_streams_in_the_order_they_are_read(keeper: Running) -> None:
    keeper.sh("a-1#1", "for i in 1 2 3; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done")
    keeper.ended("a-1#1")
    expected = [f"std{stream} F {stream} {i}" for i in (1, 2, 3) for stream in ("out", "err")]
    assert [line.split(b" ", 1)[1].decode() for line in keeper.lines("a-1#1")] == expected


def test_a_last_line_without_newline_is_whole(keeper: Running) -> None:
    keeper.sh("a-1#1", "printf abc; printf def >&2")
    keeper.ended("a-1#1")
    assert sorted(line.split(b" ", 1)[1] for line in keeper.lines("a-1#1")) == [b"stderr F def", b"stdout F abc"]


def test_any_bytes_pass(keeper: Running) -> None:
    every = bytes(byte for byte in range(256) if byte != 10)
    keeper.spawn("a-1#1", python(f"import os; os.write(1, {every!r} + b'\\n')"))
    keeper.ended("a-1#1")
    assert [line.split(b" ", 3)[3] for line in keeper.lines("a-1#1")] == [every]


def test_lines_of_a_megabyte_come_in_parts(keeper: Running) -> None:
    code = "import sys\nfor c in 'abc': sys.stdout.write(c * 1_000_000 + '\\n')"
    keeper.spawn("a-1#1", python(code))
    keeper.ended("a-1#1")
    text = b""
    for line in keeper.lines("a-1#1"):
        kind, part = line.split(b" ", 3)[2:]
        text += part + (b"\n" if kind == b"F" else b"")
    assert text == b"".join(c * 1_000_000 + b"\n" for c in (b"a", b"b", b"c"))


def test_every_line_once_while_files_rotate(keeper: Running) -> None:
    keeper.spawn("a-1#1", python(COUNT.format(count=300_000, text="x" * 20)), log={"max_bytes": 500_000, "keep": 1000})
    keeper.spawn("b-1#1", python(COUNT.format(count=300_000, text="y" * 20)), log={"max_bytes": 700_000, "keep": 1000})
    for key in ("a-1#1", "b-1#1"):
        keeper.ended(key)
        lines = keeper.lines(key)
        assert [int(text_of(line).split()[0]) for line in lines] == list(range(300_000))
        stamps = [unstamp(line) or 0 for line in lines]
        assert stamps == sorted(stamps)
    assert len(list(keeper.log("a-1#1").parent.iterdir())) > 15


def test_the_next_incarnation_goes_on_in_the_same_file(keeper: Running) -> None:
    for number in range(3):
        keeper.sh(f"a-1#{number}", f"echo run {number}")
        keeper.ended(f"a-1#{number}")
    assert keeper.texts("a-1#0") == ["run 0", "run 1", "run 2"]


def test_rotate_now(keeper: Running) -> None:
    keeper.sh("a-1#1", "echo one; read x < /dev/null; trap 'echo two; exit' TERM; while :; do sleep 0.02; done")
    until(lambda: keeper.texts("a-1#1"))
    keeper.ask("rotate", key="a-1#1")
    assert keeper.log("a-1#1").stat().st_size == 0
    keeper.ask("signal", key="a-1#1", signal=signal.SIGTERM)
    keeper.ended("a-1#1")
    assert keeper.texts("a-1#1") == ["one", "two"]
    assert log_lines(keeper.log("a-1#1"))[0] != keeper.log("a-1#1").read_bytes()


def test_one_that_floods_starves_nobody(keeper: Running) -> None:
    keeper.sh("flood-1#1", "exec cat /dev/zero | tr '\\0' '\\n'", log={"max_bytes": 10_000_000, "keep": 1})
    keeper.sh("a-1#1", "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; done")
    keeper.ended("a-1#1")
    assert keeper.texts("a-1#1") == [str(number) for number in range(1, 11)]
    until(lambda: keeper.ask("stats")["logs"][str(keeper.log("flood-1#1"))]["lines"], what="lines of the flood")
    assert keeper.ask("kill", key="flood-1#1")["remaining"] == []


def test_a_grandchild_that_writes_on_does_not_hold_up_the_end(keeper: Running) -> None:
    keeper.sh("a-1#1", "(while echo more; do :; done) & exit 4")
    assert keeper.ended("a-1#1")["code"] == 4
    keeper.ask("kill", key="a-1#1")


def test_what_a_daemon_writes_after_its_parent_was_forgotten(keeper: Running) -> None:
    keeper.sh("a-1#1", "(sleep 0.5; echo late) & exit 0")
    keeper.ended("a-1#1")
    keeper.ask("forget", key="a-1#1")
    until(lambda: keeper.texts("a-1#1") == ["late"], what="the late line")
    until(lambda: str(keeper.log("a-1#1")) not in keeper.ask("stats")["logs"], what="the log to be closed")


def test_the_agents_own_output_is_kept(keeper: Running) -> None:
    keeper.ask("agent", action="restart", argv=python("print('I am the agent'); import time; time.sleep(1000)"))
    until(lambda: "I am the agent" in map(text_of, log_lines(keeper.logs / "agent.log")))


def test_services_run_on_while_the_disk_is_full(keeper: Running) -> None:
    folder = keeper.logs / "a-1"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder], check=False, capture_output=True
    )
    if os.geteuid() or mounted.returncode:
        skip("needs to mount a small tmpfs")
    try:
        ballast = folder / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
        code = "import sys, time\nfor n in range(20_000): print(n)\nprint('done', flush=True)\n"
        keeper.spawn("a-1#1", python(code + "for n in range(500): print('later', n, flush=True); time.sleep(0.02)"))
        until(lambda: keeper.ask("stats")["logs"][str(keeper.log("a-1#1"))]["dropped"] > 20_000, what="losses")
        ballast.unlink()
        until(lambda: any("lost here" in text for text in keeper.texts("a-1#1")), what="the marker")
        until(lambda: keeper.texts("a-1#1")[-1].startswith("later"), what="later lines")
        assert keeper.ask("kill", key="a-1#1")["killed"] == 1
        texts = keeper.texts("a-1#1")
        assert next(text for text in texts if "lost" in text).endswith("lines lost here: no space left on device")
        lost = sum(int(text.split()[1]) for text in texts if "lost here" in text)
        last = int(texts[-1].split()[1])
        kept = [text for text in texts if "lost here" not in text]
        assert len(kept) + lost == 20_001 + last + 1
    finally:
        keeper.ask("shutdown", force=True)
        until(lambda: not proc.start_of(keeper.pid))
        subprocess.run(["umount", "-l", folder], check=True)
