"""Entries as journalctl of a Debian 12 host printed them (entries.jsonl), to lines of a log."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.foreign.systemd.entries import LONGEST, cursor_of, parse
from bhtui.agent.rooms.logs.counting import MISSING
from bhtui.agent.rooms.logs.levels import detect

RECORDED = Path(__file__).with_name("entries.jsonl").read_bytes().splitlines()


def has_level(line: bytes) -> bool:
    return bool(detect(line))


def texts(message: object, priority: str = "6", **more: str) -> list[bytes]:
    entry = {"__CURSOR": "s=a;i=1;t=1", "__REALTIME_TIMESTAMP": "5", "MESSAGE": message, "PRIORITY": priority, **more}
    found = parse(json.dumps(entry).encode(), "system", has_level)
    assert found is not None
    return [line.text for line in found.lines]


def test_what_a_host_recorded():
    entries = [parse(line, "system", has_level) for line in RECORDED]
    assert all(entries)
    said = {(entry.unit, line.stream, line.text) for entry in entries if entry for line in entry.lines}
    assert ("once.service", "stdout", b"did it") in said
    assert ("once.service", "stderr", b"[error] an error") in said
    assert {("once.service", "stdout", b"[warning] two"), ("once.service", "stdout", b"[warning] lines")} <= said
    assert ("once.service", "stdout", b"bin\xff") in said
    assert ("bad.service", "stdout", b"[warning] systemd: bad.service: Failed with result 'exit-code'.") in said
    numbers = [entry.cursor for entry in entries if entry]
    assert all(after.is_after(before) for before, after in itertools.pairwise(numbers))


def test_levels_are_shown_where_the_line_does_not_show_one():
    assert texts("it broke", "3") == [b"[error] it broke"]
    assert texts("ERROR it broke", "3") == [b"ERROR it broke"]
    assert texts("well", "6") == [b"well"]
    assert [detect(texts("x", str(number))[0]) for number in range(8)] == [
        "fatal", "fatal", "fatal", "error", "warning", "", "", "debug",
    ]  # fmt: skip


def test_all_forms_of_a_message():
    assert texts("one\ntwo\n") == [b"one", b"two"]
    assert texts([98, 255, 10, 99]) == [b"b\xff", b"c"]
    assert texts(["one", "two"]) == [b"one", b"two"]
    assert texts(None) == []
    assert texts("") == [b""]
    assert texts("a\r\nb\0") == [b"a", b"b"]


def test_a_long_line_is_cut_into_parts():
    found = parse(
        json.dumps({"__CURSOR": "c", "__REALTIME_TIMESTAMP": "5", "MESSAGE": "x" * (LONGEST + 1)}).encode(), "system",
        has_level,
    )  # fmt: skip
    assert found and [(len(line.text), line.partial) for line in found.lines] == [(LONGEST, True), (1, False)]


def test_units_of_a_user():
    entry = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "5", "MESSAGE": "x", "_SYSTEMD_UNIT": "user@1000.service"}
    found = parse(json.dumps(entry | {"_SYSTEMD_USER_UNIT": "mine.service"}).encode(), "user", has_level)
    assert found and found.unit == "mine.service"


def test_cursors_compare_by_number_and_else_by_time():
    one, two = cursor_of("s=a;i=9;b=x;m=1;t=10;x=0"), cursor_of("s=a;i=10;b=x;m=1;t=f;x=0")
    assert two.is_after(one) and not one.is_after(two) and not one.is_after(one)
    other = cursor_of("s=b;i=1;b=x;m=1;t=11;x=0")
    assert other.is_after(one) and not cursor_of("nonsense").is_after(one)
    assert one.is_after(cursor_of("s=;i=zz"))


@given(st.recursive(st.none() | st.integers() | st.text() | st.booleans(), lambda s: st.lists(s, max_size=4)))
def test_whatever_stands_in_a_field_is_a_line_or_none(message: object):
    assert all(isinstance(text, bytes) for text in texts(message))


@given(st.binary(max_size=50))
def test_what_is_no_entry_is_none(data: bytes):
    assert parse(data, "system", has_level) is None


def test_what_journald_left_out_itself_is_told_as_missing() -> None:
    entry = {
        "__CURSOR": "s=a;i=1", "__REALTIME_TIMESTAMP": "1", "OBJECT_SYSTEMD_UNIT": "web.service", "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "systemd-journald", "MESSAGE": "Suppressed 812 messages from web.service",
        "N_DROPPED": "812",
    }  # fmt: skip
    found = parse(json.dumps(entry).encode(), "system", has_level)
    assert found
    assert (found.unit, [line.stream for line in found.lines]) == ("web.service", ["stderr"])
    told = MISSING.search(found.lines[0].text)
    assert told
    assert told[1] == b"812"
    liar = parse(json.dumps(entry | {"SYSLOG_IDENTIFIER": "web"}).encode(), "system", has_level)
    assert liar
    assert liar.lines[0].text.startswith(b"Suppressed")
