"""Whoever owns an instance: one task, one mailbox, in which what happens to it is handled one after the other.

An event is a function from the instance to what the machine makes of it; it is called in the task, so an instance is
never in two minds.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bhtui.core.errors import NotFound, Refused

from .effects import Effect, Refusal
from .instance import Instance, Moved
from .tools import Tools

log = logging.getLogger(__name__)

MAILBOX = 64  # questions of people that may wait; the machine's own events are bounded by their nature and always fit

StateEvent = Callable[[Instance], Moved]


@dataclass(frozen=True, slots=True)
class Letter:
    """An event, and whoever waits for what became of it."""

    event: StateEvent
    answer: asyncio.Future[Instance] | None = None


class Owner(ABC):
    """`instance` is its present value."""

    def __init__(self, instance: Instance, tools: Tools) -> None:
        self.instance = instance
        self._tools = tools
        self._mailbox: asyncio.Queue[Letter] = asyncio.Queue()
        self._answers: set[asyncio.Future[Instance]] = set()
        self._retired = False
        self._errands: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"supervise {instance.name}")

    @property
    def is_retired(self) -> bool:
        """Whether it takes nothing in any more."""
        return self._retired

    async def close(self) -> None:
        """Lets go of the instance; its process runs on."""
        tasks = [self._task, *self._errands]
        self.retire()
        await asyncio.gather(*tasks, return_exceptions=True)

    def retire(self) -> None:
        """As `close`, for a caller that cannot wait."""
        self._retired = True
        for task in (self._task, *self._errands):
            task.cancel()
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(self._gone())

    def _gone(self) -> NotFound:
        return NotFound(f"cannot reach {self.instance.name}: the agent is not concerned with it any more")

    async def ask(self, event: StateEvent) -> Instance:
        """Hands in an event and waits until it has been handled. Raises Refused when the machine refuses."""
        if self._retired:
            raise self._gone()
        if len(self._answers) >= MAILBOX:
            raise Refused(f"cannot reach {self.instance.name}: {MAILBOX} requests wait for it; try again later")
        answer: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._answers.add(answer)
        try:
            self._mailbox.put_nowait(Letter(event, answer))
            return await answer
        finally:
            self._answers.discard(answer)

    def post(self, event: StateEvent) -> None:
        """Hands in an event of the agent's own."""
        self._mailbox.put_nowait(Letter(event))

    async def _run(self) -> None:
        while True:
            letter = await self._mailbox.get()
            try:
                refusal = await self._apply(letter.event)
            except Exception as error:
                # A fault in one event must not end the supervision of the instance.
                log.exception("%s: an event failed", self.instance.name)
                refusal = f"cannot go on with {self.instance.name}: {error}; see the agent's log"
            if letter.answer and not letter.answer.done():
                if refusal:
                    letter.answer.set_exception(Refused(refusal))
                else:
                    letter.answer.set_result(self.instance)

    async def _apply(self, event: StateEvent) -> str:
        """Answers with the refusal, or with empty text."""
        before = self.instance
        self.instance, effects = event(before)
        if self.instance != before:
            self._measure(before)
            self._tools.changed(before, self.instance)
        for effect in effects:
            if isinstance(effect, Refusal):
                return effect.reason
            await self._perform(effect)
        return ""

    @abstractmethod
    def _measure(self, before: Instance) -> None:
        """It has changed: begins or ends to measure its process."""

    @abstractmethod
    async def _perform(self, effect: Effect) -> None:
        """Does what the machine asks for."""

    def _errand(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errand_ended)

    def _errand_ended(self, task: asyncio.Task[None]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s: an errand failed", self.instance.name, exc_info=error)
