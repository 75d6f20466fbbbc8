"""What `systemctl show` prints, read: the words are those of systemd 252."""

import pytest

from bhtui.agent.rooms.overview.units import moment, parse, to_unit, why

SHOWN = """\
Result=exit-code
NRestarts=5
MainPID=0
ExecMainCode=1
ExecMainStatus=3
MemoryCurrent=[not set]
Id=report.service
Description=Nightly report = long
LoadState=loaded
ActiveState=failed
SubState=failed
StateChangeTimestamp=Tue 2026-11-24 10:02:11 UTC

Result=success
NRestarts=0
MainPID=612
ExecMainStatus=0
MemoryCurrent=9437184
Id=nginx.service
Description=A high performance web server
LoadState=loaded
ActiveState=active
SubState=running
StateChangeTimestamp=Tue 2026-11-24 08:00:00 UTC

Id=nginx.service
Description=the same by another name

Description=a block without an id
"""


def test_units_are_read_from_their_blocks() -> None:
    report, nginx = map(to_unit, parse(SHOWN))
    assert (report.name, report.state, report.pid, report.memory_bytes) == ("report.service", "failed", None, None)
    assert report.description == "Nightly report = long"
    assert report.why == "exit 3, after 5 restarts"
    assert report.since_ns == 1_795_514_531 * 10**9
    assert nginx.why == ""


def test_an_alias_names_one_unit_once() -> None:
    assert [unit["Id"] for unit in parse(SHOWN)] == ["report.service", "nginx.service"]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"Result": "exit-code", "ExecMainStatus": "203"}, "its program cannot be executed (status 203)"),
        ({"Result": "signal", "ExecMainStatus": "11"}, "killed by SIGSEGV"),
        ({"Result": "core-dump", "ExecMainStatus": "6"}, "killed by SIGABRT, core dumped"),
        ({"Result": "oom-kill", "ExecMainStatus": "9"}, "the kernel killed it for want of memory"),
        ({"Result": "start-limit-hit", "NRestarts": "5"}, "it was started too often in a short time, after 5 restarts"),
        ({"Result": "something-new"}, "something-new"),
        ({}, "failed"),
    ],
)
def test_a_failure_is_said_in_words(block: dict[str, str], words: str) -> None:
    assert why(block) == words


@pytest.mark.parametrize("text", ["", "n/a", "yesterday"])
def test_no_moment_is_none(text: str) -> None:
    assert moment(text) == 0
