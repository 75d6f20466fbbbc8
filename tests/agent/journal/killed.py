"""The program of test_sigkill: takes up what is open, and begins operations until it is killed.

Each do and undo leaves a line in a file, in one write, as a step leaves its mark on the world.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
import uuid
from pathlib import Path

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal.model import Call, Done, Outcome, RetryAfter, StepKind
from bhtui.agent.journal.runner import Runner
from bhtui.agent.store import Store
from bhtui.core.errors import BlackholeError
from bhtui.core.operation import AGENT, Plan, PlannedStep


def plan(dice: random.Random) -> Plan:
    steps = []
    for at in range(dice.randint(1, 8)):
        after = tuple(sorted(dice.sample(range(at), min(at, dice.randint(0, 2)))))
        args = {"retries": dice.randint(0, 3), "fails": dice.random() < 0.05}
        steps.append(PlannedStep("mark", f"t{at}", f"mark t{at}", args, after))
    return Plan("start", ("t",), tuple(steps), undo_on_failure=dice.random() < 0.5)


def kind(marks: int) -> StepKind:
    def mark(call: Call, what: str) -> None:
        os.write(marks, f"{call.operation_id} {what} {call.target}\n".encode())

    async def do(call: Call) -> Outcome:
        mark(call, "do")
        turn = call.learned.get("turn", 0)
        if turn < call.args["retries"]:
            return RetryAfter(0.001, f"turn {turn}", {"turn": turn + 1})
        if call.args["fails"]:
            raise BlackholeError("it was told to fail")
        return Done()

    async def undo(call: Call) -> Outcome:
        mark(call, "undo")
        return Done()

    return StepKind("mark", do, undo)


async def main(folder: Path, seed: int, settle: bool) -> None:
    store = Store(folder / "agent.db")
    events = EventLog(store)
    marks = os.open(folder / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    runner = Runner(store, {"mark": kind(marks)}, events, time.time_ns)
    await runner.recover()
    print("ready", flush=True)
    dice = random.Random(seed)
    while not settle or runner.list(open_only=True):
        if not settle and len(runner.list(open_only=True)) < 5:
            await runner.begin(uuid.UUID(int=dice.getrandbits(128)).hex, plan(dice), AGENT)
        events.append("tick")
        await asyncio.sleep(0.0005)
    await runner.close()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "settle"))
