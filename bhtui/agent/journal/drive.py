"""One step's handler, called until it is done, fails, or its time is over."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from ...core.errors import BlackholeError
from ...core.operation import StepState
from ..events.chain import canonical
from .book import Book
from .model import Call, Done, Handler, Outcome, RetryAfter, WaitFor

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
"""A step that waits for an event is called again after this long at the latest."""

LEAST_SECONDS = 5.0
"""What a call of a handler may take at least, unless the step's timeout is shorter: after a long outage a step must
still be able to find itself done."""


class StepFailedError(Exception):
    """A handler failed; the text is the reason, `code` the exit code of the error."""

    def __init__(self, reason: str, code: int = BlackholeError.exit_code) -> None:
        super().__init__(reason)
        self.code = code


async def drive(book: Book, index: int, handler: Handler, first_ns: int) -> Done:
    """Calls the handler until it is done; its time counts from `first_ns`. Raises StepFailedError."""
    loop = asyncio.get_running_loop()
    timeout = book.record.plan.steps[index].timeout
    # Within one life of the agent the loop's clock counts, which nobody sets.
    deadline = loop.time() + timeout - max(0, book.now() - first_ns) / 1e9
    about = ""
    while True:
        # The bell hangs before the handler looks, so that nothing that happens meanwhile is missed.
        with book.tools.events.bell(about) as rung:
            left = deadline - loop.time()
            call = make_call(book, index, timeout - left)
            outcome = await _called(book, index, handler, call, max(left, min(timeout, LEAST_SECONDS)))
            if isinstance(outcome, Done):
                return outcome
            await _waits(book, index, outcome)
            left = deadline - loop.time()
            if left <= 0:
                because = book.kind(index).timeout_reason or f"it took longer than {timeout:g} s"
                raise StepFailedError(f"{because}: {outcome.reason}")
            if isinstance(outcome, RetryAfter):
                await asyncio.sleep(min(left, outcome.delay))
            else:
                about = outcome.about
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, WAIT_SECONDS)):
                        await rung.wait()


def make_call(book: Book, index: int, elapsed: float) -> Call:
    """What the handler is told."""
    record, planned = book.record, book.record.plan.steps[index]
    return Call(
        operation_id=record.operation.id,
        target=planned.target,
        args=planned.args,
        learned=record.steps[index].learned,
        elapsed=max(0.0, elapsed),
        progress=lambda text: record.set_detail(index, text),
        actor_name=record.operation.actor.name,
        reason=record.operation.reason,
        before=tuple(record.steps[other].learned for other in planned.after),
    )


async def _called(book: Book, index: int, handler: Handler, call: Call, seconds: float) -> Outcome:
    try:
        outcome: Outcome = await book.tools.calls.run(handler, call, seconds)
        if not isinstance(outcome, Done | RetryAfter | WaitFor):
            raise TypeError(f"a handler of {book.kind(index).name} returned {outcome!r}")
        canonical(dict(outcome.learned))
    except BlackholeError as error:
        raise StepFailedError(str(error), error.exit_code) from error
    except Exception as error:
        log.exception("step %s of operation %s", book.head(index), book.record.operation.id)
        raise StepFailedError(f"{type(error).__name__}: {error}") from error
    return outcome


async def _waits(book: Book, index: int, outcome: RetryAfter | WaitFor) -> None:
    """Remembers that the step waits. Only what is new is written: a reason alone is progress."""
    record = book.record.steps[index]
    learned = {**record.learned, **outcome.learned}
    state = StepState.WAITING if record.step.state is StepState.RUNNING else record.step.state
    if state is not record.step.state or learned != record.learned:
        await book.commit({index: replace(record.moved(state, 0, outcome.reason), learned=learned)})
    else:
        book.record.set_detail(index, outcome.reason)
