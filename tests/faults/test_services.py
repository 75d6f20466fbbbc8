"""Services that misbehave: each is held, named for what it does, and gone when it is stopped; others mind nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bhtui.agent.rooms.limits.detect import detect
from tests.live import require
from tests.live.home import Home, home
from tests.live.numbered import PROGRAM, numbers, written
from tests.waiting import until

GOOD = """
  good:
    command: [sleep, "100000"]
    restart: always
"""
FORK_BOMB = """
    import os, time
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.02)
"""
MEMORY_LEAK = """
    held = []
    while True:
        held.append(b"x" * (1 << 20))
"""
FD_LEAK = """
    import time
    held = []
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError as error:
        print("stuck:", error.strerror, flush=True)
    time.sleep(1000)
"""
DEAF = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(1000)
"""
DAEMON = """
    import os, sys, time
    def daemon():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 64)
                time.sleep(1000)
            os._exit(0)
        os.wait()
    daemon()
    print("in the background", flush=True)
    if "stay" in sys.argv:
        time.sleep(1000)
"""


@contextmanager
def misbehaving(program: str, options: str = "", words: str = "") -> Iterator[Home]:
    """One service `bad` that runs the program, beside a good one."""
    with home() as made:
        path = made.path / "bad.py"
        path.write_text(textwrap.dedent(program))
        argv = ", ".join((sys.executable, str(path), *words.split()))
        made.paths.config.write_text(f"services:\n  bad:\n    command: [{argv}]\n    {options}\n{GOOD}")
        yield made


def family(made: Home) -> set[int]:
    """Every living process of the bad service."""
    mark = str(made.path / "bad.py").encode()
    found = set()
    for pid in made.processes():
        try:
            if mark in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
        except OSError:
            continue
    return found


def group(made: Home, controller: str) -> Path:
    """The folder of the bad service's group."""
    found = detect(made.paths.run)
    folder = found.v1.get(controller) or (found.v2 if controller in found.v2_controllers else None)
    if folder is None:
        require.missing(f"no {controller} controller can be used here")
    assert folder is not None
    return folder / "bad-1"


def good_is_well(made: Home, pid: int) -> None:
    row = made.status()["good-1"]
    assert (row["state"], row["pid"], row["restarts"]) == ("running", pid, 0)


@pytest.mark.parametrize("how", [["stop", "bad", "--timeout", "0.2s"], ["stop", "--emergency"]])
def test_a_fork_bomb_is_held_and_ended(how: list[str]) -> None:
    with misbehaving(FORK_BOMB, "limits: {pids: 60}") as made:
        made.cli("start")
        good = made.status()["good-1"]["pid"]
        tasks = group(made, "pids")
        until(lambda: int((tasks / "pids.current").read_text()) == 60, 30, "the bomb has reached its limit")
        good_is_well(made, good)
        made.cli(*how)
        until(lambda: not family(made), 10, "nothing of the bomb is left")
        assert made.status()["bad-1"]["state"] == "stopped"


def test_a_memory_leak_ends_at_its_limit_and_is_named() -> None:
    with misbehaving(MEMORY_LEAK, 'restart: "no"\n    limits: {memory: 48M}') as made:
        group(made, "memory")
        made.cli("start", code=None)
        row = until(lambda: (found := made.status()["bad-1"])["result"] == "oom-kill" and found, 30, "it has ended")
        assert row["state"] in ("stopped", "failed")
        assert "out of memory" in row["last_error"]
        made.cli("start", "good")
        good_is_well(made, made.status()["good-1"]["pid"])


def test_a_leak_of_descriptors_is_counted_and_held() -> None:
    with misbehaving(FD_LEAK, "ulimits: {nofile: 64}") as made:
        made.cli("start")
        until(lambda: "stuck: Too many open files" in made.cli("logs", "bad").stdout, 20, "it has reached its limit")
        until(lambda: made.status()["bad-1"]["fds"] == 64, 10, "status counts them")
        good_is_well(made, made.status()["good-1"]["pid"])


def test_one_that_ignores_its_signal_is_killed_after_its_grace_and_that_is_said() -> None:
    with misbehaving(DEAF, "stop_grace_period: 300ms") as made:
        made.cli("start")
        until(lambda: "deaf" in made.cli("logs", "bad").stdout)
        said = made.cli("stop", "bad").stderr
        assert "killed by SIGKILL" in said
        row = made.status()["bad-1"]
        assert (row["state"], row["result"]) == ("stopped", "signal")
        assert not family(made)


def test_what_one_leaves_in_the_background_is_seen_ended_and_said() -> None:
    with misbehaving(DAEMON, words="stay") as made:
        made.cli("start")
        until(lambda: len(family(made)) == 2, 20, "it and its daemon")
        until(lambda: made.status()["bad-1"]["threads"] == 2, 10, "status counts both")
        said = made.cli("stop", "bad").stderr
        assert "1 process outlived bad-1 and was killed" in said
        assert not family(made)


def test_a_service_that_goes_to_the_background_by_itself_is_told_as_such() -> None:
    with misbehaving(DAEMON, "restart: {policy: always, start_limit: 2}") as made:
        made.cli("start", code=None)  # where the machine is slow it may have been seen to run
        until(lambda: made.status()["bad-1"]["state"] in ("failed", "stopped"), 20, "it is given up")
        until(lambda: not family(made), 10, "its daemons are gone, not one for each start")
        made.cli("start", "good")
        events = [json.loads(line) for line in made.cli("events", "--output", "json").stdout.splitlines()]
        assert any("exit 0" in event["message"] for event in events if event["target"] == "bad-1")


def test_a_flood_of_lines_is_kept_whole_and_holds_nobody_up() -> None:
    config = f"""
services:
  flood:
    command: [{sys.executable}, {PROGRAM}, "200000"]
    logging: {{rotate: {{max_size: 1M, max_backups: 10000}}}}
{GOOD}"""
    with home(config) as made:
        made.cli("start")
        folder = made.paths.logs / "flood"

        until(lambda: written(folder) > 5_000_000, 60, "the flood")
        before = made.status()["good-1"]["pid"]
        made.cli("restart", "good")
        assert made.status()["good-1"]["pid"] != before
        made.cli("stop", "flood")
        found = numbers(folder, "flood-1")
        assert found == list(range(1, len(found) + 1)), "lines lost or repeated"
        kinds = {json.loads(line)["kind"] for line in made.cli("events", "--output", "json").stdout.splitlines()}
        assert "logs.lost" not in kinds


REUSE = """
    import os, signal, sys, time
    from bhtui.keeper import children, kill, proc

    def child():
        pid = os.fork()
        if pid == 0:
            time.sleep(1000)
        return pid

    first = child()
    start = proc.start_of(first)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    while children.ticks() <= start:
        time.sleep(0.01)
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(first - 1))
    stranger = child()
    assert stranger == first, (stranger, first)
    target = kill.Target("a-1#1", first, start, [])
    assert kill.trees([target], "/nowhere", {1})["a-1#1"] == {}
    proc.send(first, start, signal.SIGKILL)
    print("reused", proc.start_of(stranger) > start, os.waitpid(stranger, os.WNOHANG) == (0, 0))
    os.kill(stranger, signal.SIGKILL)
"""


def test_a_pid_that_another_process_has_by_now_is_left_alone(tmp_path: Path) -> None:
    require.root()
    unshare = require.program("unshare")
    if not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
        require.missing("this kernel lets nobody choose the next pid")
    program = tmp_path / "reuse.py"
    program.write_text(textwrap.dedent(REUSE))
    argv = [unshare, "--pid", "--fork", "--mount-proc", sys.executable, str(program)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert done.stdout.split() == ["reused", "True", "True"], done


def test_a_hung_agent_and_a_fork_bomb_hold_up_no_emergency_stop() -> None:
    with misbehaving(FORK_BOMB, "limits: {pids: 40}") as made:
        made.cli("start")
        os.kill(made.agent_pid(), signal.SIGSTOP)
        made.cli("stop", "--emergency")
        until(lambda: not family(made), 10, "nothing of the bomb is left")
        os.kill(made.agent_pid(), signal.SIGCONT)
        until(lambda: {row["state"] for row in made.status().values()} == {"stopped"}, 20, "the agent has heard")
