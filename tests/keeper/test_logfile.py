"""The log file alone: its format, its rotation, and a full disk."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.keeper import logfile
from bhtui.keeper.capture import MAX_TAIL, frame
from bhtui.keeper.logfile import SECOND, LogFile, stamp, unstamp
from tests.keeper.support import log_files, log_lines, skip, text_of

HEAD = b"2026-01-02T03:04:05.000000006Z stdout F "


def put(log: LogFile, *texts: str) -> None:
    for text in texts:
        line = f"{stamp(log.now())} stdout F {text}\n".encode()
        log.write([line], len(line), 1)


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_stamps_are_rfc_3339_and_come_back(ns: int) -> None:
    text = stamp(ns)
    assert len(text) == 30
    moment = datetime.datetime.fromisoformat(text[:19] + "+00:00")
    assert int(moment.timestamp()) * SECOND + int(text[20:29]) == ns
    assert unstamp(text.encode() + b" stdout F x") == ns


@given(st.binary(max_size=200))
def test_no_line_breaks_the_reader_of_stamps(line: bytes) -> None:
    unstamp(line)


@given(st.lists(st.binary(max_size=60) | st.just(b"\n") | st.just(b"x" * (MAX_TAIL // 2)), max_size=30))
def test_framing_neither_loses_nor_invents_a_byte(chunks: list[bytes]) -> None:
    tail, written, count = b"", b"", 0
    for chunk in filter(None, chunks):
        parts, size, lines, tail = frame(tail, chunk, HEAD)
        out = b"".join(parts)
        assert len(out) == size
        assert out.count(b"\n") == lines
        assert len(tail) <= MAX_TAIL
        written, count = written + out, count + lines
    lines_out = written.split(b"\n")[:-1]
    assert len(lines_out) == count
    restored = b""
    for line in lines_out:
        kind, text = line[len(HEAD) - 2 : len(HEAD) - 1], line[len(HEAD) :]
        assert line.startswith(HEAD[:-2])
        restored += text + (b"\n" if kind == b"F" else b"")
    assert restored + tail == b"".join(chunks)


def test_rotated_files_are_named_after_their_first_line(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "a.log"), max_bytes=500, keep=100)
    log.open()
    put(log, *(f"line {number}" for number in range(100)))
    log.close()
    assert [text_of(line) for line in log_lines(tmp_path / "a.log")] == [f"line {number}" for number in range(100)]
    for path in log_files(tmp_path / "a.log")[:-1]:
        assert path.stat().st_size <= 500
        first = path.read_text().split(" ")[0]
        assert path.name == f"a.{first.replace('-', '').replace(':', '')}.log"
        assert re.fullmatch(r"a\.\d{8}T\d{6}\.\d{9}Z\.log", path.name)


def test_only_so_many_are_kept_and_strangers_stay(tmp_path: Path) -> None:
    stranger = tmp_path / "a.notes.log"
    stranger.write_text("mine\n")
    log = LogFile(str(tmp_path / "a.log"), max_bytes=100, keep=3)
    log.open()
    put(log, *(f"line {number}" for number in range(50)))
    files = log_files(tmp_path / "a.log")
    assert len(files) == 4
    assert stranger.exists()
    texts = [text_of(line) for line in log_lines(tmp_path / "a.log")]
    assert texts == [f"line {number}" for number in range(50)][-len(texts) :]


def test_age_begins_a_new_file_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"{stamp(time.time_ns() - 3600 * SECOND)} stdout F old\n")
    log = LogFile(str(path), max_age_s=1800)
    log.open()
    put(log, "new")
    assert [len(one.read_text().splitlines()) for one in log_files(path)] == [1, 1]


def test_a_line_cut_short_by_a_crash_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(HEAD + b"whole\n" + HEAD + b"x" * 100_000)
    log = LogFile(str(path))
    log.open()
    put(log, "next")
    assert [text_of(line) for line in log_lines(path)] == ["whole", "next"]


def test_time_never_goes_back_within_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, now = tmp_path / "a.log", 1_800_000_000 * SECOND
    clock = iter([*[now + 5 * SECOND] * 3, *[now] * 50])
    monkeypatch.setattr(logfile.time, "time_ns", lambda: next(clock))
    log = LogFile(str(path))
    log.open()
    put(log, "a", "b", "c", "d")
    stamps = [unstamp(line) for line in log_lines(path)]
    assert stamps == sorted(stamps, key=lambda one: one or 0)
    assert len(log_files(path)) == 1
    second = LogFile(str(path))
    second.open()
    assert second.now() == now + 5 * SECOND


def test_a_clock_set_far_back_begins_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, now = tmp_path / "a.log", 1_800_000_000 * SECOND
    times = [now]
    monkeypatch.setattr(logfile.time, "time_ns", lambda: times[0])
    log = LogFile(str(path))
    log.open()
    put(log, "future")
    times[0] = now - 1000 * SECOND
    put(log, "now")
    assert len(log_files(path)) == 2
    assert unstamp(path.read_bytes()) == times[0]


@pytest.mark.parametrize("how", ["unlink", "rename", "replace"])
def test_a_file_taken_away_is_made_again(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.log"
    monkeypatch.setattr(logfile, "CHECK_S", 0.0)
    log = LogFile(str(path))
    log.open()
    put(log, "one")
    if how == "unlink":
        path.unlink()
    else:
        path.rename(tmp_path / "elsewhere")
    if how == "replace":
        path.write_text("")
    put(log, "two")
    assert [text_of(line) for line in log_lines(path)] == ["two"]


def test_a_removed_folder_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "CHECK_S", 0.0)
    path = tmp_path / "deep" / "a.log"
    log = LogFile(str(path))
    log.open()
    path.unlink()
    path.parent.rmdir()
    put(log, "two")
    assert [text_of(line) for line in log_lines(path)] == ["two"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=False).returncode
    ):
        skip("needs to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_whole_lines_and_says_how_many(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_disk / "a.log"
    log = LogFile(str(path))
    log.open()
    put(log, *(f"{number} {'x' * 500}" for number in range(1000)))
    assert log.lost > 0
    kept = len(log_lines(path))
    assert kept + log.lost == 1000
    log.retry()
    assert len(log_lines(path)) == kept, "no marker before there is room"
    os.truncate(path, 0)
    path.unlink()
    monkeypatch.setattr(logfile, "CHECK_S", 0.0)
    lost = log.lost
    log.retry()
    assert [text_of(line) for line in log_lines(path)] == [
        f"[blackhole] {lost} lines lost here: no space left on device"
    ]
    put(log, "after")
    assert (log.lost, log.dropped) == (0, lost)
    assert text_of(log_lines(path)[-1]) == "after"


def test_rotation_on_a_full_disk_keeps_the_file(small_disk: Path) -> None:
    path = small_disk / "a.log"
    log = LogFile(str(path), max_bytes=50_000)
    log.open()
    put(log, *(f"{number} {'x' * 500}" for number in range(1000)))
    texts = [text_of(line).split()[0] for line in log_lines(path)]
    assert texts == [str(number) for number in range(len(texts))]
    assert len(texts) + log.lost == 1000


def test_a_removed_file_is_made_again_although_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfile, "CHECK_S", 0.0)
    path = tmp_path / "a.log"
    log = LogFile(str(path))
    log.open()
    put(log, "one")
    day = 86_400 * SECOND
    monkeypatch.setattr(logfile.time, "time_ns", lambda now=time.time_ns: now() - day)
    put(log, "two")
    path.unlink()
    put(log, "three")
    assert [text_of(line) for line in log_lines(path)] == ["one", "three"]
