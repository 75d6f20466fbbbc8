"""Lines of any bytes and any length: captured as they are, across kills, and readable by us and by others' readers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from tests.live import require
from tests.live.home import Home, home
from tests.waiting import until

LONG = 10 << 20
# Prints what is hard to print; a line of 10 MB in two halves, between which keeper and agent are killed.
PROGRAM = r"""
import os, sys, time
def put(data):
    while data: data = data[os.write(1, data):]
put(bytes(b for b in range(256) if b != 10) + b"\n")
put(b"nul \0 cr \r esc \x1b[31mred\x1b[0m invalid \xff\xc3( end\n")
put(b"\n")
put("gr\u00fc\u00dfe \u4e16\u754c".encode() + b"\n")
put((b"0123456789abcde " * (10 << 16))[: (10 << 20) // 2])
while not os.path.exists(sys.argv[1]): time.sleep(0.02)
put((b"0123456789abcde " * (10 << 16))[(10 << 20) // 2:] + b"\n")
put(b"last\n")
time.sleep(100000)
"""
TEXTS = ["nul \0 cr \r esc \x1b[31mred\x1b[0m invalid \\xff\\xc3( end", "", "grüße 世界"]
CRI = re.compile(rb"(?s)^(?P<time>\S+?) (?P<stream>stdout|stderr) (?P<flags>\S+?) (?P<content>.*)$")
"""The regular expression of Promtail's cri stage, from its documentation; (?s) for carriage returns in a line."""


@pytest.fixture(scope="module")
def made() -> Iterator[Home]:
    """A home whose service has printed everything, and whose keeper and agent were killed in the long line."""
    with home() as here:
        program, go = here.path / "program.py", here.path / "go"
        program.write_text(textwrap.dedent(PROGRAM))
        here.write_config(f"services: {{bytes: {{command: [{sys.executable}, {program}, {go}]}}}}")
        here.cli("start")
        pid = here.wait_state("bytes-1", "running")["pid"]
        until(lambda: size_of(here) >= LONG // 2, 30, "the first half")
        for kill, find in (("agent", here.agent_pid), ("keeper", here.keeper_pid)):
            before = find()
            os.kill(before, signal.SIGKILL)
            until(lambda find=find, before=before: find() not in (0, before), 30, f"another {kill}")
            until(lambda: here.status().get("bytes-1", {}).get("pid") == pid, 30, "the agent answers")
        go.touch()
        until(lambda: files_of(here).endswith(b" last\n"), 60, "the last line")
        yield here


def size_of(made: Home) -> int:
    path = made.paths.logs / "bytes" / "bytes-1.log"
    return path.stat().st_size if path.exists() else 0


def files_of(made: Home) -> bytes:
    return (made.paths.logs / "bytes" / "bytes-1.log").read_bytes()


def joined(made: Home) -> list[bytes]:
    """The lines as a reader of the CRI format puts them together, by the expression that Promtail has for it."""
    parts: dict[bytes, bytes] = {}
    found = []
    for record in files_of(made).split(b"\n")[:-1]:
        match = CRI.match(record)
        assert match, record[:80]
        parts[match["stream"]] = parts.get(match["stream"], b"") + match["content"]
        if match["flags"] == b"F":
            found.append(parts.pop(match["stream"]))
        else:
            assert match["flags"] == b"P"
    assert not parts
    return found


def test_whoever_reads_cri_gets_every_byte(made: Home) -> None:
    lines = [line for line in joined(made) if not line.startswith(b"[blackhole]")]
    assert lines[0] == bytes(each for each in range(256) if each != 10)
    assert lines[1] == b"nul \0 cr \r esc \x1b[31mred\x1b[0m invalid \xff\xc3( end"
    assert lines[2:4] == [b"", "grüße 世界".encode()]
    assert lines[4] == b"0123456789abcde " * (LONG // 16)
    assert lines[5:] == [b"last"]


def test_our_readers_show_every_byte_and_put_long_lines_together(made: Home) -> None:
    said = [json.loads(line) for line in made.cli("logs", "bytes", "--output", "json").stdout.splitlines()]
    own = [each for each in said if not each["message"].startswith("[blackhole]")]
    assert [each["message"] for each in own[1:4]] == TEXTS
    assert own[0]["message"].endswith("\\xfe\\xff")
    text, pieces = "", 0
    for each in own[4:-1]:
        text, pieces = text + each["message"], pieces + 1
        assert each["partial"] == (each is not own[-2])
    assert text == "0123456789abcde " * (LONG // 16)
    assert pieces < 60
    assert own[-1]["message"] == "last"


def test_nothing_that_a_terminal_obeys_is_shown(made: Home) -> None:
    shown = made.cli("logs", "bytes").stdout
    control = {each for each in shown if not each.isprintable()} - {"\n"}
    assert control <= {"\t"}
    assert "nul \\x00 cr \\x0d esc \\x1b[31mred\\x1b[0m invalid \\xff\\xc3( end" in shown


def test_lnav_reads_the_files_as_they_are(made: Home) -> None:
    lnav = require.program("lnav")
    folder = made.path / "lnav"
    folder.mkdir(exist_ok=True)
    sample = folder / "sample.log"
    short = [line for line in files_of(made).splitlines(keepends=True) if len(line) < 1000 and b"\r" not in line]
    sample.write_bytes(b"".join(line for line in short if CRI.match(line) and b"\0" not in line))
    for each in (sample, made.paths.logs / "agent.log"):
        query = ";SELECT count(*) AS n, min(log_time) AS first FROM all_logs"
        done = subprocess.run(
            [lnav, "-n", "-c", query, "-c", ":write-json-to -", str(each)],
            capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        found = json.loads(done.stdout[done.stdout.index("[") :])
        first = each.read_bytes()[:19].decode().replace("T", " ")
        assert found[0]["n"] == each.read_bytes().count(b"\n"), done.stdout
        assert found[0]["first"].startswith(first)
