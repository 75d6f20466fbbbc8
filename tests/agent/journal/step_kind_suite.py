"""What every step kind must stand, whatever it does. For the tests of the rooms:

    async def test_start(...):
        case = Case(kind, target="api-1", args={...}, observe=lambda: running("api-1"), reset=stop_all)
        await check_do_twice(case)
        await check_crash_and_do(case)
        await check_do_and_undo(case)

`observe` returns what the step is about, as a value to compare: the PIDs' number, a file's content, a row. It must not
hold what may differ between two good runs (a PID, a time).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bhtui.agent.journal.model import Call, Done, Handler, NoUndo, RetryAfter, StepKind

DEADLINE = 30.0


@dataclass
class Case:
    """One step to try, and how to look at its effect."""

    kind: StepKind
    target: str
    observe: Callable[[], Any]
    args: Mapping[str, Any] = field(default_factory=dict)
    reset: Callable[[], Awaitable[None]] | None = None
    """Brings back the state before the step; without it the undo does, and without undo only one crash is tried."""
    crash_points: tuple[int, ...] = (0, 1, 2, 3, 5, 8, 20, 100)
    """After how many turns of the loop the handler is cut off."""
    before: tuple[Mapping[str, Any], ...] = ()


async def check_do_twice(case: Case) -> None:
    """Done again, with and without what the first time learned, it is done as well and nothing is different."""
    learned = await _drive(case, case.kind.do, {})
    once = await _seen(case)
    await _drive(case, case.kind.do, learned)
    assert await _seen(case) == once, "do, repeated with what was learned, has another effect"
    await _drive(case, case.kind.do, {})
    assert await _seen(case) == once, "do, repeated without what was learned, has another effect"
    await _back(case, learned)


async def check_crash_and_do(case: Case) -> None:
    """Cut off at any moment and run again from what was committed, it has the effect of one undisturbed run."""
    learned = await _drive(case, case.kind.do, {})
    expected = await _seen(case)
    for turns in case.crash_points:
        if not await _back(case, learned):
            return
        committed: dict[str, Any] = {}
        task = asyncio.create_task(_drive_into(case, case.kind.do, committed))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=DEADLINE)
        assert task.done(), f"do does not end within {DEADLINE:g} s of being cancelled"
        learned = await _drive(case, case.kind.do, committed)
        assert await _seen(case) == expected, f"cut off after {turns} turns and run again, do has another effect"
    await _back(case, learned)


async def check_do_and_undo(case: Case) -> None:
    """Undone, once, twice, or with nothing learned because of a crash, it is as before. Kinds without undo say why."""
    if isinstance(case.kind.undo, NoUndo):
        assert case.kind.undo.why, "a kind without undo must say why"
        return
    before = await _seen(case)
    learned = await _drive(case, case.kind.do, {})
    learned = await _drive(case, case.kind.undo, learned)
    assert await _seen(case) == before, "undo does not bring back what was before"
    await _drive(case, case.kind.undo, learned)
    assert await _seen(case) == before, "undo, repeated, has another effect"
    committed: dict[str, Any] = {}
    task = asyncio.create_task(_drive_into(case, case.kind.do, committed))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=DEADLINE)
    await _drive(case, case.kind.undo, committed)
    assert await _seen(case) == before, "undo of a do that was cut off does not bring back what was before"


async def _back(case: Case, learned: Mapping[str, Any]) -> bool:
    """To the state before; whether there is a way."""
    if case.reset is not None:
        await case.reset()
    elif not isinstance(case.kind.undo, NoUndo):
        await _drive(case, case.kind.undo, learned)
    else:
        return False
    return True


async def _drive(case: Case, handler: Handler, learned: Mapping[str, Any]) -> dict[str, Any]:
    """Calls until done, as the runner does; all that was learned."""
    known = dict(learned)
    await _drive_into(case, handler, known)
    return known


async def _drive_into(case: Case, handler: Handler, learned: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.timeout(DEADLINE):
        while True:
            elapsed = loop.time() - start
            known = json.loads(json.dumps(learned))
            call = Call("suite", case.target, case.args, known, elapsed, lambda text: None, "suite", "", case.before)
            outcome = await handler(call)
            learned.update(json.loads(json.dumps(dict(outcome.learned))))
            if isinstance(outcome, Done):
                return
            await asyncio.sleep(min(outcome.delay, 0.1) if isinstance(outcome, RetryAfter) else 0.02)


async def _seen(case: Case) -> Any:
    seen = case.observe()
    return await seen if isinstance(seen, Awaitable) else seen
