"""A journal on a real file and a step kind whose behaviour a test writes down in the step's args."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal.model import Call, Done, Handler, NoUndo, Outcome, RetryAfter, StepKind, WaitFor
from bhtui.agent.journal.runner import Runner
from bhtui.agent.store import Store
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.operation import Actor, Operation, Plan, PlannedStep

ADA = Actor("ada", "desk")


def step(target: str, *after: int, kind: str = "play", timeout: float = 30.0, **args: Any) -> PlannedStep:
    """A step that plays `do=[...]` and `undo=[...]`, one entry (see _play) a call; the last one stays."""
    return PlannedStep(kind, target, f"play {target}: as written", args, tuple(after), timeout)


def plan(*steps: PlannedStep, claims: tuple[str, ...] = (), **more: Any) -> Plan:
    return Plan("start", tuple(sorted({each.target for each in steps})), steps, claims=frozenset(claims), **more)


class World:
    """One agent's journal, which can be restarted, and what its handlers did."""

    def __init__(self, path: Path, kinds: Mapping[str, StepKind] | None = None) -> None:
        self.path = path
        self.calls: list[tuple[str, str, str]] = []
        """(operation id, do or undo or cleanup, target), in the order they were called."""
        self.seen: list[Call] = []
        self.finished: list[tuple[str, str, str]] = []
        self.kinds: dict[str, StepKind] = dict(kinds or self.default_kinds())
        self.open()

    def open(self) -> None:
        self.store = Store(self.path)
        self.events = EventLog(self.store)
        self.runner = Runner(self.store, self.kinds, self.events, time.time_ns)
        self.runner._tools.calls._grace = 0.2

    async def close(self) -> None:
        await self.runner.close()
        self.store.close()

    async def restart(self) -> None:
        """The agent ends in an orderly way and is started again."""
        await self.close()
        self.open()
        await self.runner.recover()

    async def crash(self) -> None:
        """The agent ends without another word: from here on nothing can be written."""
        self.store.close()
        await self.runner.close()
        self.open()
        await self.runner.recover()

    async def run(self, identity: str, what: Plan) -> Operation:
        await self.runner.begin(identity, what, ADA, "because")
        return await self.ended(identity)

    async def ended(self, identity: str, deadline: float = 30.0) -> Operation:
        async with asyncio.timeout(deadline):
            async for operation in self.runner.watch(identity):
                if operation.ended:
                    return operation
        raise AssertionError(f"{identity} has not ended, but its watch has")

    def done(self, what: str) -> list[str]:
        """Targets of the calls of one sort, in order."""
        return [target for _, sort, target in self.calls if sort == what]

    def default_kinds(self) -> dict[str, StepKind]:
        do, undo, cleanup = (self.player(sort) for sort in ("do", "undo", "cleanup"))
        return {
            "play": StepKind("play", do, undo),
            "one-way": StepKind("one-way", do, NoUndo("cannot be taken back")),
            "tidy": StepKind("tidy", do, undo, cleanup, "not ready in time"),
        }

    def player(self, sort: str) -> Handler:
        async def handler(call: Call) -> Outcome:
            self.calls.append((call.operation_id, sort, call.target))
            self.seen.append(call)
            script = call.args.get(sort, ["done"])
            turn = call.learned.get(f"{sort}-turn", 0)
            act = script[min(turn, len(script) - 1)]
            learned = {f"{sort}-turn": turn + 1}
            await asyncio.sleep(0)
            outcome = await _play(act, learned, call)
            if isinstance(outcome, Done):
                self.finished.append((call.operation_id, sort, call.target))
            return outcome

        return handler


async def _play(act: str, learned: dict[str, Any], call: Call) -> Outcome:
    match act:
        case "done":
            return Done({**learned, "by": call.target})
        case "retry":
            return RetryAfter(0.001, "trying again", learned)
        case "wait":
            return WaitFor("waiting for something", learned)
        case "wait-mine":
            return WaitFor("waiting for my own", learned, call.target)
        case "fail":
            raise BlackholeError("the port is in use")
        case "refuse":
            raise Refused("the port is in use")
        case "crash":
            raise ZeroDivisionError("division by zero")
        case "hang":
            await asyncio.Event().wait()
        case "stubborn":
            while True:
                try:
                    await asyncio.sleep(1.5)
                    break
                except asyncio.CancelledError:
                    continue
        case "finish-anyway":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return Done({**learned, "by": call.target})
    raise AssertionError(act)
