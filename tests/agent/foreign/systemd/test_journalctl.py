"""The journal followed with a journalctl that is played: each line once, wherever it was cut off."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bhtui.agent.foreign.capture import Captured, Captures, Line
from bhtui.agent.foreign.systemd import journalctl
from bhtui.agent.foreign.systemd.entries import Entry, cursor_of
from bhtui.agent.foreign.systemd.journalctl import Followed, Journal
from bhtui.core.spec import RateSpec, RotateSpec
from tests.waiting import eventually

PROGRAM = """#!{python}
import json, os, sys, time
asked = sys.argv[1:]
units = [a.partition("=")[2] for a in asked if a.startswith(("--unit=", "--user-unit="))]
after = next((a.partition("=")[2] for a in asked if a.startswith("--after-cursor=")), None)
lines = next((int(a.partition("=")[2]) for a in asked if a.startswith("--lines=")), None)
follow, seen = "--follow" in asked, 0
def entries():
    return [json.loads(line) for line in open({file!r}) if line.endswith("\\n")]
if "--show-cursor" in asked:
    print("text\\n-- cursor: " + entries()[-1]["__CURSOR"] if entries() else "")
    sys.exit()
first = entries()
start = 0
if after is not None:
    start = next((n + 1 for n, e in enumerate(first) if e["__CURSOR"] == after), 0)
elif follow and lines == 0:
    start = len(first)
while True:
    found = [e for e in entries()[start + seen:]]
    wanted = [e for e in found if e["_SYSTEMD_UNIT"] in units]
    for each in wanted if lines is None or follow else wanted[-lines:]:
        print(json.dumps(each), flush=True)
    seen += len(found)
    if not follow or os.path.exists({file!r} + ".end"):
        break
    time.sleep(0.01)
"""


class Played:
    """A journal that can be written to."""

    def __init__(self, folder: Path) -> None:
        self.file, self.count = folder / "journal", 0
        self.file.touch()
        program = folder / "bin" / "journalctl"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(python=sys.executable, file=str(self.file)))
        program.chmod(0o755)

    def write(self, unit: str, *texts: str) -> None:
        with self.file.open("a") as file:
            for text in texts:
                self.count += 1
                entry = {"__CURSOR": f"s=a;i={self.count:x};t={self.count:x}", "MESSAGE": text, "_SYSTEMD_UNIT": unit}
                file.write(json.dumps(entry | {"__REALTIME_TIMESTAMP": str(time.time_ns() // 1000)}) + "\n")


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    made = Played(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(journalctl, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(journalctl, "JOURNALS", ())
    yield made


@asynccontextmanager
async def following(folder: Path, *units: str) -> AsyncIterator[Journal]:
    journal = Journal("system", lambda _: True, Captures())
    for unit in units:
        journal.capture(unit, log_of(folder, unit), RotateSpec(), RateSpec())
    try:
        yield journal
    finally:
        await journal.close()


def log_of(folder: Path, unit: str) -> Path:
    return folder / "logs" / unit / f"{unit}.log"


def said(folder: Path, unit: str) -> list[str]:
    path = log_of(folder, unit)
    return [line[40:] for line in path.read_text().splitlines()] if path.exists() else []


async def test_the_last_lines_first_then_what_comes(played: Played, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(journalctl, "FIRST_LINES", 2)
    played.write("a", "1", "2", "3")
    async with following(tmp_path, "a", "b"):
        await eventually(lambda: said(tmp_path, "a") == ["2", "3"], what="the last two")
        played.write("b", "x")
        played.write("a", "4\n5")
        await eventually(lambda: said(tmp_path, "a") == ["2", "3", "4", "5"])
        await eventually(lambda: said(tmp_path, "b") == ["x"])


async def test_a_next_agent_goes_on_where_the_one_before_was(played: Played, tmp_path: Path):
    played.write("a", "1")
    async with following(tmp_path, "a"):
        await eventually(lambda: said(tmp_path, "a") == ["1"])
    played.write("a", "2", "3")
    async with following(tmp_path, "a"):
        await eventually(lambda: said(tmp_path, "a") == ["1", "2", "3"])


async def test_an_agent_that_was_killed_repeats_nothing(played: Played, tmp_path: Path):
    played.write("a", "1")
    async with following(tmp_path, "a"):
        await eventually(lambda: said(tmp_path, "a") == ["1"])
        note = log_of(tmp_path, "a").with_suffix(".cursor")
        await eventually(note.exists)
        kept = note.read_text()
        played.write("a", "2\n2b", "3")
        await eventually(lambda: said(tmp_path, "a") == ["1", "2", "2b", "3"])
    note.write_text(kept)  # the mark is older than the last lines, as after SIGKILL
    played.write("a", "4")
    async with following(tmp_path, "a"):
        await eventually(lambda: said(tmp_path, "a") == ["1", "2", "2b", "3", "4"])


async def test_another_unit_is_added_while_one_is_followed(played: Played, tmp_path: Path):
    played.write("b", "early")
    async with following(tmp_path, "a") as journal:
        played.write("a", "1")
        await eventually(lambda: said(tmp_path, "a") == ["1"])
        journal.capture("b", log_of(tmp_path, "b"), RotateSpec(), RateSpec())
        await eventually(lambda: said(tmp_path, "b") == ["early"])
        played.write("a", "2")
        played.write("b", "late")
        await eventually(lambda: said(tmp_path, "b") == ["early", "late"])
        await eventually(lambda: said(tmp_path, "a") == ["1", "2"])
        await journal.release("a")
        played.write("b", "later")
        await eventually(lambda: said(tmp_path, "b") == ["early", "late", "later"])


async def test_journalctl_that_ends_is_started_again_and_that_is_told_once(played: Played, tmp_path: Path):
    end = played.file.with_suffix(".end")
    async with following(tmp_path, "a"):
        played.write("a", "1")
        await eventually(lambda: "1" in said(tmp_path, "a"))
        end.touch()
        await eventually(lambda: len(said(tmp_path, "a")) == 2)
        end.unlink()
        played.write("a", "2", "3")
        await eventually(lambda: "3" in said(tmp_path, "a"))
        told = [line for line in said(tmp_path, "a") if line.startswith("[blackhole] the journal cannot be read")]
        assert len(told) == 1
        assert [line for line in said(tmp_path, "a") if line not in told] == ["1", "2", "3"]


async def test_what_is_over_a_limit_is_dropped_and_told(played: Played, tmp_path: Path):
    played.write("a", "0")
    async with following(tmp_path, "a") as journal:
        await eventually(lambda: said(tmp_path, "a") == ["0"])
        journal.capture("a", log_of(tmp_path, "a"), RotateSpec(), RateSpec(lines=2, per=0.5))
        played.write("a", *(f"flood {number}" for number in range(50)))
        await eventually(lambda: "flood 1" in said(tmp_path, "a"))
        captures = journal._captures
        told = await eventually(lambda: captures.limited().get(str(log_of(tmp_path, "a"))))
        assert told["limit"] == "2 lines in 0.5 s"
        await eventually(lambda: any("dropped here" in line for line in captures.limited() and said(tmp_path, "a")))


def test_agents_that_are_killed_one_after_the_other_repeat_no_line(tmp_path: Path) -> None:
    """The second dies when it has passed by only a few of the lines that it finds in the log."""
    entries = [
        Entry("web", cursor_of(f"s=a;i={n:x};t={n:x}"), (Line(time.time_ns(), "stdout", b"line %d" % n),))
        for n in range(1, 31)
    ]
    for upto, ending in ((20, "killed"), (5, "killed"), (8, "told"), (12, "closed"), (30, "closed")):
        followed = Followed("web", Captured(tmp_path / "web-1.log", RotateSpec()))
        kept, followed.behind = followed.captured.open()
        followed.at = cursor_of(str(kept.get("journal", "")))
        followed.take(entries[:upto])
        if ending == "told":
            followed.captured.say("the journal cannot be read")
        elif ending == "closed":
            followed.close()
    texts = [line.split(" ", 3)[3] for line in (tmp_path / "web-1.log").read_text().splitlines()]
    assert [text for text in texts if "[blackhole]" not in text] == [f"line {n}" for n in range(1, 31)]
