"""The room on this very machine: real processes, real sockets."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

from bhtui.agent.rooms.overview import host, procfs
from bhtui.agent.rooms.overview.model import Ours
from bhtui.agent.rooms.overview.room import OverviewRoom
from tests.waiting import until

SECRET = "hunter2hunter2"


async def test_what_runs_and_listens_here_is_seen_and_secrets_are_not() -> None:
    words = [sys.executable, "-c", "while True: pass", "--password", SECRET, "https://ada:" + SECRET + "@example.org/"]
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(words) as busy:
        port = server.getsockname()[1]
        # Of several of one name that descend from each other the first is shown: where tests run in parallel, the one
        # that has started this process.
        us = {os.getpid(), os.getppid()}
        room = OverviewRoom(lambda: Ours({"web-1": busy.pid}, frozenset(us), services=1))
        try:
            await room.read()
            seen = await room.read()
        finally:
            busy.kill()
            room.close()
    [process] = [each for each in seen.processes if each.pid == busy.pid]
    assert process.cpu_percent is not None
    assert (process.instance, process.threads) == ("web-1", 1)
    assert "while True" in process.command
    assert SECRET not in repr(seen)
    [mine] = [each for each in seen.listeners if each.port == port]
    assert mine.pid in us and mine.instance == "agent"
    assert seen.machine.memory_total_bytes > seen.machine.memory_used_bytes > 0
    assert seen.machine.cpu_percent is not None
    assert any(disk.path == "/" for disk in seen.machine.disks)
    assert seen.services == 1


async def test_those_who_ask_together_all_get_an_answer() -> None:
    room = OverviewRoom(Ours)
    try:
        answers = await asyncio.gather(*(room.read() for _ in range(3)))
    finally:
        room.close()
    assert all(each.processes for each in answers)


def test_a_command_line_is_one_line_and_cut() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import time\ntime.sleep(60)", "x" * 1000, "\x1b[2J\udcff"]
    ) as sleeper:
        try:
            shown = until(lambda: procfs.command(sleeper.pid), 10, "its command line")
        finally:
            sleeper.kill()
    assert len(shown) == procfs.LONGEST_COMMAND
    assert "\n" not in shown
    assert procfs.words(sleeper.pid) == []


def test_disks_are_listed_once_and_those_far_away_are_not_asked(tmp_path: Path) -> None:
    here = host.disks(f"/dev/a / ext4 rw 0 0\n/dev/a {tmp_path} ext4 rw 0 0\nfar:/x {tmp_path} nfs rw 0 0\nbad\n")
    assert [(each.path, each.device) for each in here] == [("/", "/dev/a")]
    spaced = tmp_path / "a b"
    spaced.mkdir()
    [disk] = host.disks(f"/dev/b {tmp_path}/a\\040b ext4 ro,relatime 0 0\n")
    assert disk.path == str(spaced)
    assert disk.read_only
