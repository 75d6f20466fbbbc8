"""`blackhole logs --follow` of a real agent that is killed in the middle, by a reader that is slow: each line once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.home import Home, home
from tests.live.numbered import PROGRAM
from tests.waiting import until

CONFIG = f"""
services:
  one:
    command: ['{sys.executable}', '-u', '{PROGRAM}', '1500', '200']
    logging: {{rotate: {{max_size: 512K, max_backups: 50}}}}
  two: {{command: ['{sys.executable}', '-u', '{PROGRAM}', '200']}}
"""


@pytest.fixture
def host() -> Iterator[Home]:
    with home(CONFIG) as made:
        made.cli("start")
        yield made


@contextmanager
def following(host: Home, *words: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "bhtui.cli.main", "logs", "--follow", "--output", "json", *words]
    process = subprocess.Popen(argv, env=host.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def number(line: str) -> tuple[str, int] | None:
    found = json.loads(line)
    words = found["message"].split()
    return (found["instance"], int(words[1])) if words[0] == "n" else None


def collected(process: subprocess.Popen[str]) -> list[tuple[str, int]]:
    """What comes, read on in a thread; and what it says otherwise, so that neither pipe fills."""
    got: list[tuple[str, int]] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            found = number(line)
            if found is not None:
                got.append(found)

    threading.Thread(target=read, daemon=True).start()
    return got


def check(got: list[tuple[str, int]]) -> None:
    for name in ("one-1", "two-1"):
        numbers = [each for instance, each in got if instance == name]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), name


def test_each_line_once_though_the_agent_is_killed(host: Home) -> None:
    with following(host) as process:
        got = collected(process)
        until(lambda: len(got) > 500, 60, "lines come")
        for _ in range(2):
            pid, had = host.agent_pid(), len(got)
            os.kill(pid, signal.SIGKILL)
            until(lambda: host.agent_pid() not in (0, pid) and len(got) > had + 1000, 90, "lines come again")  # noqa: B023
        check(list(got))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None
        assert "one-1" not in process.stderr.read()


def test_a_reader_that_stands_still_gets_every_line_later(host: Home) -> None:
    with following(host, "--tail", "0") as process:
        assert process.stdout is not None
        first = number(process.stdout.readline())
        logs = host.paths.logs / "one"
        until(lambda: sum(path.stat().st_size for path in logs.iterdir()) > 3 << 20, 60, "more than the pipe holds")
        os.kill(host.agent_pid(), signal.SIGKILL)
        wanted = until(lambda: int((logs / "one-1.log").read_bytes().splitlines()[-1].split()[4]), 30, "a last line")
        got = [first] if first else []
        while got[-1:] != [("one-1", wanted)]:
            found = number(process.stdout.readline())
            got += [found] if found else []
        check(got)
