"""`blackhole logs --follow` of a real agent that is killed in the middle, by a reader that is slow: each line once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

import pytest

from tests.live.home import Home, home
from tests.live.hosts import TestHost, TestHosts
from tests.live.numbered import PROGRAM, written
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
def following(host: Home, *words: str, group: str = "") -> Iterator[subprocess.Popen[str]]:
    where = ["--group", group] if group else []
    argv = [sys.executable, "-m", "bhtui.cli.main", *where, "logs", "--follow", "--output", "json", *words]
    process = subprocess.Popen(argv, env=host.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def number(line: str, named: bool = False) -> tuple[str, int] | None:
    found = json.loads(line)
    words = found["message"].split()
    name = f"{found['host']} {found['instance']}" if named else found["instance"]
    return (name, int(words[1])) if words[0] == "n" else None


def lines_of(stream: IO[str]) -> Iterator[str]:
    """Until its end, or until the test closes it."""
    with suppress(ValueError):
        yield from stream


def collected(process: subprocess.Popen[str], named: bool = False) -> list[tuple[str, int]]:
    """What comes, read on in a thread; and what it says otherwise, so that neither pipe fills."""
    got: list[tuple[str, int]] = []

    def read() -> None:
        assert process.stdout is not None
        for line in lines_of(process.stdout):
            found = number(line, named) if line.endswith("\n") else None  # the last one may be cut off with the reader
            if found is not None:
                got.append(found)

    threading.Thread(target=read, daemon=True).start()
    return got


def check(got: list[tuple[str, int]], *names: str) -> None:
    for name in names or ("one-1", "two-1"):
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
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "one-1" not in process.stderr.read()


@contextmanager
def two_hosts() -> Iterator[tuple[Home, list[TestHost]]]:
    """An operator's machine, and two hosts whose agents run already."""
    with ExitStack() as stack:
        here, servers = stack.enter_context(home()), stack.enter_context(TestHosts())
        hosts = [servers.loopback(name) for name in ("web1", "web2")]
        for host in hosts:
            there = stack.enter_context(home(CONFIG))
            there.cli("start")
            host.home = there.path
        entries = "".join(host.yaml().replace("}\n", ", groups: [web], connect_timeout: 60}\n") for host in hosts)
        (here.path / "hosts.yaml").write_text("groups: {web: {}}\nhosts:\n" + entries)
        yield here, hosts


def test_a_host_that_is_away_for_a_while_holds_nobody_up_and_loses_nothing() -> None:
    with two_hosts() as (here, hosts), following(here, "--tail", "0", group="web") as process:
        got = collected(process, named=True)

        def come(name: str) -> int:
            return sum(instance.startswith(name) for instance, _ in got)

        until(lambda: come("web1") > 100 and come("web2") > 100, 90, "lines of both come")
        hosts[0].stop()
        had = come("web2")
        until(lambda: come("web2") > had + 3000, 60, "the other goes on")
        had = come("web1")
        hosts[0].start()
        until(lambda: come("web1") > had + 3000, 90, "it is back")
        check(list(got), "web1 one-1", "web1 two-1", "web2 one-1", "web2 two-1")


def test_a_host_that_is_mute_does_not_hold_up_what_the_others_have_to_say() -> None:
    with two_hosts() as (here, hosts):
        words = ["logs", "--tail", "5", "--output", "json"]
        assert len(here.cli("--group", "web", *words).stdout.splitlines()) == 5  # the places of both are known now
        hosts[0].freeze()
        argv = [sys.executable, "-m", "bhtui.cli.main", "--group", "web", *words]
        with subprocess.Popen(argv, env=here.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
            assert one.stdout is not None
            assert one.stderr is not None
            first = [json.loads(one.stdout.readline()) for _ in range(5)]
            assert "web1: no answer yet; the lines of the others come first" in one.stderr.readline()
            hosts[0].thaw()
            last = [json.loads(line) for line in one.stdout]
            assert one.wait(60) == 0
        assert [(each["host"], each["late"]) for each in first] == 5 * [("web2", False)]
        assert [(each["host"], each["late"]) for each in last] == 5 * [("web1", True)]


def test_a_reader_that_stands_still_gets_every_line_later(host: Home) -> None:
    with following(host, "--tail", "0") as process:
        assert process.stdout is not None
        first = number(process.stdout.readline())
        logs = host.paths.logs / "one"
        until(lambda: written(logs) > 3 << 20, 60, "more than the pipe holds")
        os.kill(host.agent_pid(), signal.SIGKILL)
        wanted = until(lambda: int((logs / "one-1.log").read_bytes().splitlines()[-1].split()[4]), 30, "a last line")
        got = [first] if first else []
        while got[-1:] != [("one-1", wanted)]:
            found = number(process.stdout.readline())
            got += [found] if found else []
        check(got)
