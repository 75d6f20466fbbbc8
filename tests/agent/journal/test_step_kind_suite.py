"""The conformance suite passes a good kind and finds the faults of bad ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind, WaitFor

from .step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice


def good(file: Path) -> StepKind:
    async def do(call: Call) -> Outcome:
        if "asked" not in call.learned:
            return WaitFor("for a moment", {"asked": True})
        await asyncio.sleep(0)
        file.write_text("there")
        await asyncio.sleep(0)
        return Done({"file": str(file)})

    async def undo(call: Call) -> Outcome:
        file.unlink(missing_ok=True)
        return Done()

    return StepKind("good", do, undo)


def appending(file: Path) -> StepKind:
    async def do(call: Call) -> Outcome:
        with file.open("a") as out:
            out.write("again ")
        await asyncio.sleep(0)
        return Done()

    async def undo(call: Call) -> Outcome:
        return Done()

    return StepKind("appending", do, undo)


def case(kind: StepKind, file: Path) -> Case:
    return Case(kind, "api-1", lambda: file.read_text() if file.exists() else "")


async def test_a_good_kind_passes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    await check_do_twice(case(good(file), file))
    await check_crash_and_do(case(good(file), file))
    await check_do_and_undo(case(good(file), file))


@pytest.mark.parametrize("check", [check_do_twice, check_crash_and_do, check_do_and_undo])
async def test_a_bad_kind_is_found(tmp_path: Path, check) -> None:
    file = tmp_path / "file"
    with pytest.raises(AssertionError):
        await check(case(appending(file), file))


async def test_no_undo_must_say_why(tmp_path: Path) -> None:
    file = tmp_path / "file"
    kind = StepKind("odd", good(file).do, NoUndo(""))
    with pytest.raises(AssertionError, match="say why"):
        await check_do_and_undo(case(kind, file))
