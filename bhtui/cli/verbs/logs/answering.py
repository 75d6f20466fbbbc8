"""Which hosts answer at once, and which do not: one that is mute holds up nobody who asked several for their logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, Target, everywhere
from bhtui.core.errors import BlackholeError
from bhtui.rpc.client import AgentClient

PATIENCE = 2.0
"""Seconds without getting any further after which a host is mute, once others have answered."""
LOOK = 0.1

Call = asyncio.Task[AgentClient]


@asynccontextmanager
async def called(
    settings: Settings, targets: Sequence[Target], patience: float = PATIENCE
) -> AsyncIterator[tuple[Answers[AgentClient], dict[Target, Call]]]:
    """Who has answered or failed, and the calls to those that are mute, which go on until the end of the block.

    A local target's error is raised, as by `everywhere`.
    """
    if len(targets) == 1:
        yield await everywhere(settings, list(targets), lambda target: target.client()), {}
        return
    calls = {target: asyncio.ensure_future(target.client()) for target in targets}
    try:
        await _wait(calls, patience)
        yield _answers(calls), {target: call for target, call in calls.items() if not call.done()}
    finally:
        for call in calls.values():
            call.cancel()
        await asyncio.gather(*calls.values(), return_exceptions=True)


async def _wait(calls: dict[Target, Call], patience: float) -> None:
    """Until all have answered, or those that have not do nothing either; for the first answer however long it takes."""
    heard = time.monotonic()
    did = {target: target.doing for target in calls}
    while pending := [target for target, call in calls.items() if not call.done()]:
        done, _ = await asyncio.wait(
            [calls[target] for target in pending], timeout=LOOK, return_when=asyncio.FIRST_COMPLETED
        )
        doing = {target: target.doing for target in calls}
        if done or doing != did:
            heard, did = time.monotonic(), doing
        has_answer = any(call.done() and call.exception() is None for call in calls.values())
        if has_answer and time.monotonic() - heard >= patience:
            return


def _answers(calls: dict[Target, Call]) -> Answers[AgentClient]:
    found: Answers[AgentClient] = Answers()
    for target, call in calls.items():
        if not call.done():
            continue
        error = call.exception()
        if error is None:
            found.good.append((target, call.result()))
        elif isinstance(error, BlackholeError):
            found.failed.append((target, error))
        else:
            raise error
    return found


async def answers_of(calls: dict[Target, Call]) -> AsyncIterator[tuple[Target, AgentClient | BlackholeError]]:
    """What the mute say at last, in the order in which they do."""
    left = dict(calls)
    while left:
        await asyncio.wait(left.values(), return_when=asyncio.FIRST_COMPLETED)
        for target, call in list(left.items()):
            if call.done():
                del left[target]
                error = call.exception()
                if error is not None and not isinstance(error, BlackholeError):
                    raise error
                yield target, error or call.result()
