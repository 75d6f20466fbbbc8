"""A process that runs operations is killed at random moments; afterwards everything settles."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal import table
from bhtui.agent.journal.lane import RESUMED
from bhtui.agent.store import Store
from bhtui.core.operation import OPERATION_ENDED, STEP_ENDED

KILLS = 20


def child(folder: Path, seed: int, mode: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.agent.journal.killed", str(folder), str(seed), mode]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert process.stdout and process.stdout.readline() == b"ready\n"
    return process


async def test_killed_twenty_times_everything_settles(tmp_path: Path) -> None:
    dice = random.Random(7)
    for seed in range(KILLS):
        with child(tmp_path, seed, "work") as process:
            time.sleep(dice.uniform(0.0, 0.15))  # the moment is the point
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it was at work until then"
    with child(tmp_path, KILLS, "settle") as process:
        assert process.wait(60) == 0

    store = Store(tmp_path / "agent.db")
    events = EventLog(store)
    operations = table.load_newest(store, 1_000_000)
    assert len(operations) > KILLS
    assert {each.state for each in operations} <= OPERATION_ENDED
    assert {step.state for each in operations for step in each.steps} <= STEP_ENDED
    assert sum(each.note == RESUMED for each in operations) > 1, "some were cut off in the middle"
    log = events.read(limit=10_000_000)
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert await events.verify_chain() is None
    assert not [file for file in tmp_path.iterdir() if "damaged" in file.name]
    store.close()

    for operation in operations:
        failed = [step for step in operation.steps if step.state in ("failed", "undone") and step.detail]
        assert {step.detail for step in failed} <= {"it was told to fail"}, "nothing failed because of a kill"
        assert (operation.state == "failed") == bool(failed)
        assert (operation.state == "done") == all(step.state == "done" for step in operation.steps)

    marks = {tuple(line.split()) for line in (tmp_path / "marks").read_text().splitlines()}
    for operation in operations:
        for step in operation.steps:
            ran = (operation.id, "do", step.target) in marks
            assert ran == (step.state != "skipped") or step.state == "undone", "as written, so it was"
            assert ((operation.id, "undo", step.target) in marks) == (step.state == "undone")
