"""The life of one operation: forward, perhaps back, clean up, end.

The rule: a step found running after a crash runs again. So the status is written before a step runs, and what it
learned together with the status after it. Nothing in memory decides anything that the rows do not say: a lane made
anew from the rows at any moment goes on where the old one was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...core.errors import BlackholeError
from ...core.operation import OperationState, StepState
from ..store import StoreError
from .book import Book, Tools, sentence
from .drive import StepFailedError, drive, make_call
from .model import Handler
from .order import Order, reverse
from .record import Record

log = logging.getLogger(__name__)

CLEANUP_SECONDS = 10.0
PREEMPT_SECONDS = 5.0
"""How long an operation waits for those it takes over from."""

RESUMED = "resumed after the agent was restarted"


class Lane:
    """Runs one operation. `holders` are the lanes it takes over from."""

    def __init__(self, record: Record, tools: Tools, holders: Iterable[Lane] = ()) -> None:
        self.record = record
        self.task: asyncio.Task[None] | None = None
        self._book = Book(record, tools)
        self._holders = tuple(holders)
        self._order = Order({})
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._decided = False
        """Whether the result is clear and only cleaning up is left."""

    # Asked from outside

    def start(self, resumed: bool) -> asyncio.Task[None]:
        """Makes the task that is the operation's life."""
        self.task = asyncio.create_task(self._run(resumed), name=f"operation {self.record.operation.id}")
        return self.task

    def cancel(self, by: str) -> None:
        """Cancels what runs; with undo_on_failure what was done is undone. Nothing when it is ending already.

        Raises StoreUnavailable when that cannot be written.
        """
        if self._book.ending or self._decided or self.record.operation.ended:
            return
        note = self._book.noted(f"cancelled by {by}")
        self._book.write(cancelled_by=by, state=OperationState.CANCELLING, note=note)
        self._interrupt()

    # The life

    async def _run(self, resumed: bool) -> None:
        try:
            await self._live(resumed)
        except Exception as error:
            log.exception("operation %s cannot go on", self.record.operation.id)
            self._give_up(error)
        finally:
            self.record.closed = True
            self.record.changed()

    async def _live(self, resumed: bool) -> None:
        book = self._book
        if resumed:
            await book.commit(note=book.noted(RESUMED))
        if missing := book.missing_kinds():
            why = f"this version of the agent does not know its steps {', '.join(missing)}; begin it again"
            await book.commit(**self._end(f"cannot go on with {book.name}: {why}"))
            return
        await self._wait_for_holders()
        await self._forward()
        if book.ending:
            await self._backward()
        if book.tools.closing:
            return  # what did not run was not skipped: the next life of the agent runs it
        self._decided = True
        await self._clean_up()
        await book.commit(**self._end(self.record.operation.error))

    async def _wait_for_holders(self) -> None:
        tasks = {lane.task: lane for lane in self._holders if lane.task}
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=PREEMPT_SECONDS)
        if left:
            names = ", ".join(f"{tasks[task].record.operation.id[:8]} ({tasks[task]._book.name})" for task in left)
            note = self._book.noted(f"went on although {names} had not let go after {PREEMPT_SECONDS:g} s")
            await self._book.commit(note=note)

    async def _forward(self) -> None:
        """Runs steps as they become ready, until no more can be."""
        book, record = self._book, self.record
        order = {index: step.after for index, step in enumerate(record.plan.steps)}
        self._order = Order(order, set(record.in_state(StepState.DONE)))
        again = record.in_state(StepState.RUNNING, StepState.WAITING)
        pending = set(record.in_state(StepState.PENDING))
        first = [] if book.stopped else [index for index in self._order.ready() if index in pending]
        begins = record.operation.state is OperationState.PENDING
        changes: dict[str, Any] = {"state": OperationState.RUNNING, "started_ns": book.now()} if begins else {}
        await book.commit(book.moved(first, StepState.RUNNING), **changes)
        async with asyncio.TaskGroup() as group:
            self._group = group
            if not book.ending:
                self._launch([*again, *first])

    async def _do(self, index: int) -> None:
        book, record = self._book, self.record
        try:
            done = await drive(book, index, book.kind(index).do, record.steps[index].step.started_ns)
        except StepFailedError as failure:
            await self._failed(index, failure)
            return
        freed = [] if book.stopped else self._order.finish(index)
        ended = record.steps[index].moved(StepState.DONE, book.now(), done.detail)
        ended = replace(ended, learned={**ended.learned, **done.learned})
        # One transaction: what follows is begun in the same breath, so there is half as much to write.
        await book.commit({index: ended, **book.moved(freed, StepState.RUNNING)})
        if not book.ending:
            self._launch(freed)

    async def _failed(self, index: int, failure: StepFailedError) -> None:
        book, reason = self._book, str(failure)
        if book.tools.closing:
            return
        operation = self.record.operation
        error = operation.error or sentence(book.head(index), reason)  # the first is the cause of what follows
        code = operation.code or failure.code
        await book.commit(book.moved([index], StepState.FAILED, reason), error=error, code=code)
        if book.ending:
            self._interrupt()

    async def _backward(self) -> None:
        """Undoes what was begun, each step when all that came after it are undone."""
        book = self._book
        undo = book.to_undo()
        changes = {"state": OperationState.ROLLING_BACK} if undo else {}
        await book.commit(book.cut_short(index for index in book.unended() if index not in undo), **changes)
        steps = self.record.plan.steps
        first = {index for index in undo if book.kind(index).undo_first}
        self._order = Order(reverse([step.after for step in steps], first))
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._launch_undo(self._order.ready(), undo)

    async def _undo(self, index: int, undo: Mapping[int, Handler]) -> None:
        book, record = self._book, self.record.steps[index]
        # Why a failed step is undone is worth more than what its undo waited for; what others waited for is over.
        why = record.step.detail if record.step.state in (StepState.FAILED, StepState.UNDOING) else ""
        begun = replace(record.moved(StepState.UNDOING, book.now(), why), undo_ns=record.undo_ns or book.now())
        await book.commit({index: begun})
        try:
            done = await drive(book, index, undo[index], begun.undo_ns)
        except StepFailedError as failure:
            if book.tools.closing:
                return
            await book.commit(book.moved([index], StepState.UNDO_FAILED, str(failure)))
            if book.kind(index).undo_first:
                return
        else:
            await book.commit(book.moved([index], StepState.UNDONE, done.detail or why))
        self._launch_undo(self._order.finish(index), undo)

    async def _clean_up(self) -> None:
        cleanups = {i: self._book.kind(i).cleanup for i, record in enumerate(self.record.steps) if record.begun}
        calls = [self._clean_up_step(index, cleanup) for index, cleanup in cleanups.items() if cleanup]
        if problems := [problem for problem in await asyncio.gather(*calls) if problem]:
            await self._book.commit(note=self._book.noted(*problems))

    async def _clean_up_step(self, index: int, cleanup: Handler) -> str:
        head = self._book.head(index)
        try:
            await self._book.tools.calls.run(cleanup, make_call(self._book, index, 0.0), CLEANUP_SECONDS)
        except Exception as error:
            log.exception("cleaning up after %s", head)
            return sentence(f"clean up after {head}", str(error))
        return ""

    def _end(self, error: str) -> dict[str, Any]:
        """The last change: the result, and the steps that will not be run."""
        book, by = self._book, self.record.cancelled_by
        if by and not error:
            error = "; ".join((f"{book.name} was cancelled by {by}", *book.half_done()))
        state = OperationState.CANCELLED if by else OperationState.FAILED if error else OperationState.DONE
        code = self.record.operation.code or (BlackholeError.exit_code if error else 0)
        steps = book.cut_short(book.unended())
        ended = replace(self.record.snapshot(), state=state)
        ended = replace(ended, steps=tuple(steps.get(n, step).step for n, step in enumerate(self.record.steps)))
        return {
            "steps": steps,
            "state": state,
            "error": book.with_undo_errors(error),
            "code": code,
            "note": book.noted(book.tools.advise(ended)),
            "ended_ns": book.now(),
        }

    def _give_up(self, error: Exception) -> None:
        """Ends an operation after an error of ours. If even that cannot be written the next start takes it up again."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        end = self._end(f"cannot go on with {self._book.name}: {error}")
        try:
            self._book.write(**end)
        except StoreError:
            log.exception("the end of operation %s", self.record.operation.id)
            del end["steps"]
            self.record.operation = replace(self.record.operation, **end)

    # Tasks

    def _launch(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._spawn(index, self._do(index))

    def _launch_undo(self, indexes: Iterable[int], undo: Mapping[int, Handler]) -> None:
        """Begins undoing; what has nothing to undo is passed over."""
        todo = list(indexes)
        while todo:
            index = todo.pop()
            if index in undo:
                self._spawn(index, self._undo(index, undo))
            else:
                todo += self._order.finish(index)

    def _spawn(self, index: int, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        task = self._group.create_task(coroutine, name=f"{self.record.operation.id[:8]} {self._book.head(index)}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _interrupt(self) -> None:
        """Cancels the steps that run, but for the one that asks."""
        for task in self._running - {asyncio.current_task()}:
            task.cancel()
