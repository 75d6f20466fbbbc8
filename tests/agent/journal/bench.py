"""Run by hand: what operations and events cost. `python -m tests.agent.journal.bench`"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.agent.journal.runner import Runner
from bhtui.agent.store import Store
from bhtui.core.operation import AGENT, Plan, PlannedStep


async def nothing(call: Call) -> Outcome:
    return Done()


def plan(steps: int, chain: bool = False) -> Plan:
    planned = (PlannedStep("none", f"a-{i}", f"do a-{i}", after=(i - 1,) if chain and i else ()) for i in range(steps))
    return Plan("start", ("a",), tuple(planned))


async def ended(runner: Runner, identity: str) -> None:
    async for operation in runner.watch(identity):
        if operation.ended:
            return


async def timed(runner: Runner, label: str, what: Plan, at_once: int = 1, rounds: int = 5) -> None:
    seconds = []
    for turn in range(rounds):
        start = time.perf_counter()
        names = [f"{label.replace(' ', '')}{turn}x{number}" for number in range(at_once)]
        for name in names:
            await runner.begin(name, what, AGENT)
        await asyncio.gather(*(ended(runner, name) for name in names))
        seconds.append(time.perf_counter() - start)
    print(f"{label}: {statistics.median(seconds) * 1e3:.1f} ms")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "agent.db")
        events = EventLog(store)
        runner = Runner(store, {"none": StepKind("none", nothing, NoUndo("nothing"))}, events, time.time_ns)
        await timed(runner, "1 step", plan(1))
        await timed(runner, "100 parallel steps", plan(100))
        await timed(runner, "100 steps in a row", plan(100, chain=True))
        await timed(runner, "1000 parallel steps", plan(1000))
        await timed(runner, "100 operations of 10 steps", plan(10), at_once=100)
        start = time.perf_counter()
        for _ in range(2000):
            events.append("instance.state", "api-1", "api-1: running", {"from": "starting", "to": "running"})
        print(f"append: {(time.perf_counter() - start) / 2000 * 1e6:.0f} us")
        with store.transaction() as db:
            for _ in range(200_000 - events.last_seq):
                db.execute("INSERT INTO events (time_ns, kind, target) VALUES (1, 'instance.state', 'api-1')")
        for label, read in (
            ("read 500", lambda: events.read(1000)),
            ("tail 100", lambda: events.read(tail=100)),
            ("tail 100 of a rare kind", lambda: events.read(tail=100, kinds=["config."])),
            ("read a rare kind", lambda: events.read(kinds=["config."])),
        ):
            start = time.perf_counter()
            read()
            print(f"{label}: {(time.perf_counter() - start) * 1e3:.1f} ms")
        start = time.perf_counter()
        assert await events.verify_chain() is None
        print(f"verify 200,000: {time.perf_counter() - start:.2f} s")
        await runner.close()
        store.close()
        start = time.perf_counter()
        Store(Path(folder) / "agent.db").close()
        print(f"open with 200,000 events: {(time.perf_counter() - start) * 1e3:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
