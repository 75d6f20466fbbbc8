"""A hundred services that write at once, whatever happens to the keeper, the agent and the disk: nothing is lost,
nothing comes twice, and each is in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bhtui.keeper.logfile import unstamp
from tests.faults.test_keeper import FAKE_AGENT
from tests.keeper.support import Running, can, kill_now, log_files, python, running_keeper, skip
from tests.waiting import until

SELF = [sys.executable, "-m", "bhtui.keeper"]
SERVICES, LINES, SLICE = 100, 12_000, 1000
HEAD = re.compile(rb"^\S{30} std(?:out|err) [FP] ", re.MULTILINE)
GROWN = 16 << 20
"""Bytes by which the keeper may grow with a hundred that write: mostly a tail of 16 KiB and a chunk."""
BOUNDS = (
    {"max_bytes": 40_000, "keep": 10_000},
    {"max_age_s": 0.2, "keep": 10_000},
    {"max_bytes": 60_000, "max_age_s": 0.5, "keep": 10_000},
    {"max_bytes": 30_000, "keep": 2},
)
"""By size, by age, by both, and with old files removed."""


def written(keeper: Running, key: str) -> bytes:
    """What a service wrote, as its files have it; their times never go back."""
    text, last = b"", 0
    for path in log_files(keeper.log(key)):
        content = path.read_bytes()
        assert not content or content.endswith(b"\n")
        for stamp in (unstamp(content), unstamp(content[content.rfind(b"\n", 0, -1) + 1 :]) if content else None):
            assert stamp is None or stamp >= last
            last = stamp or last
        text += HEAD.sub(b"", content)
    return text


def memory(pid: int) -> int:
    """Resident bytes, at most so far."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def start_all(keeper: Running, go: Path, lines: int) -> list[str]:
    """Services that wait for a file and then all write at once."""
    keys = [f"s{number}-1#1" for number in range(SERVICES)]
    script = f"while [ ! -e {go} ]; do sleep 0.05; done; at=1\n"
    script += f"while [ $at -le {lines} ]; do seq $at $((at + {SLICE - 1})); at=$((at + {SLICE})); sleep 0.05; done"
    for number, key in enumerate(keys):
        keeper.sh(key, script, log=BOUNDS[number % len(BOUNDS)])
    return keys


def check_all(keeper: Running, keys: list[str], lines: int) -> None:
    everything = b"".join(b"%d\n" % number for number in range(1, lines + 1))
    for number, key in enumerate(keys):
        assert keeper.ended(key)["code"] == 0
        bound, text = BOUNDS[number % len(BOUNDS)], written(keeper, key)
        if bound["keep"] == 2:
            assert len(log_files(keeper.log(key))) <= 3
            assert text
            assert everything.endswith(text)
        else:
            assert text == everything
    assert sum(len(log_files(keeper.log(key))) for key in keys) > SERVICES, "nothing was rotated"
    found = keeper.ask("stats")
    assert all(log["dropped"] == 0 for log in found["logs"].values())


def test_a_hundred_at_once_while_agent_and_keeper_are_replaced(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with running_keeper() as keeper:
        keeper.ask("agent", action="restart", argv=[*python(FAKE_AGENT), str(keeper.run)])
        keys = start_all(keeper, go, LINES)
        before = memory(keeper.pid)
        go.touch()
        faults = 0
        while any(entry["exit"] is None for entry in keeper.list()) or faults < 2:
            agent = keeper.ask("stats")["agent"]["pid"]
            if agent:
                kill_now(agent)
            keeper.ask("upgrade", argv=SELF)
            faults += 1
        check_all(keeper, keys, LINES)
        assert memory(keeper.pid) - before < GROWN


@contextmanager
def freezing_disk(keeper: Running, folder: Path) -> Iterator[Path]:
    """A file system of its own at a folder, which can be frozen: who writes to it waits."""
    if os.geteuid() or not can(["fsfreeze", "--version"]) or not can(["mkfs.ext4", "-V"]):
        skip("needs root, fsfreeze (util-linux) and mkfs.ext4 (e2fsprogs)")
    image = keeper.root / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    folder.mkdir(parents=True)
    if not can(["mount", "-o", "loop", str(image), str(folder)]):
        skip("needs to mount a loop device")
    try:
        yield folder
    finally:
        subprocess.run(["fsfreeze", "-u", folder], check=False, capture_output=True)
        keeper.ask("shutdown", force=True)
        until(lambda: can(["umount", str(folder)]), what="nobody uses the disk")


def test_a_disk_that_stands_still_delays_and_loses_nothing() -> None:
    with running_keeper() as keeper, freezing_disk(keeper, keeper.logs / "a-1") as disk:
        keeper.sh("a-1#1", "exec seq 600000", log={"max_bytes": 2_000_000, "keep": 1000})
        for _ in range(3):
            size = until(lambda: keeper.log("a-1#1").stat().st_size, what="something is written")
            subprocess.run(["fsfreeze", "-f", disk], check=True)
            seen = sum(path.stat().st_size for path in log_files(keeper.log("a-1#1")))
            # Nothing more gets onto it, and the service waits in its pipe, not in the keeper's memory.
            assert memory(keeper.pid) < 64 << 20
            assert sum(path.stat().st_size for path in log_files(keeper.log("a-1#1"))) == seen >= size > 0
            subprocess.run(["fsfreeze", "-u", disk], check=True)
        assert keeper.ended("a-1#1")["code"] == 0
        assert written(keeper, "a-1#1") == b"".join(b"%d\n" % number for number in range(1, 600_001))


def test_a_line_that_a_full_disk_cut_does_not_run_into_the_next(tmp_path: Path) -> None:
    code = """
import os, sys, time
def wait(name):
    while not os.path.exists(os.path.join(sys.argv[1], name)): time.sleep(0.02)
os.write(1, b"a" * 100_000); wait("full")
os.write(1, b"b" * 60_000); os.write(1, b"c" * 60_000 + b"\\n"); wait("free")
os.write(1, b"next\\n")
"""
    with running_keeper() as keeper:
        folder = keeper.logs / "a-1"
        folder.mkdir()
        if os.geteuid() or not can(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]):
            skip("needs to mount a small tmpfs")
        try:
            keeper.spawn("a-1#1", [*python(code), str(tmp_path)])
            until(lambda: b" P a" in keeper.log("a-1#1").read_bytes(), what="the first part")
            ballast = folder / "ballast"
            with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(b"x" * 4096)
            (tmp_path / "full").touch()
            until(lambda: keeper.ask("stats")["logs"][str(keeper.log("a-1#1"))]["dropped"], what="a loss")
            ballast.unlink()
            until(lambda: b"lost here" in keeper.log("a-1#1").read_bytes(), what="the marker")
            (tmp_path / "free").touch()
            keeper.ended("a-1#1")
            until(lambda: keeper.texts("a-1#1")[-1] == "next", what="the next line")
            joined, lines = b"", []
            for record in keeper.lines("a-1#1"):
                flag, text = record.split(b" ", 3)[2:]
                if b"[blackhole]" not in record:
                    joined += text
                    if flag == b"F":
                        lines.append(joined)
                        joined = b""
            assert set(lines[0]) == set(b"a")
            assert lines[-1] == b"next"
        finally:
            keeper.ask("shutdown", force=True)
            until(lambda: can(["umount", str(folder)]), what="nobody uses the disk")
