"""Holds the restarts of the manager of one unit or container while a maintenance window is open for it.

What the manager had is written down before it is changed, so whoever comes after an agent that was killed in between
knows what to put back; both ways may be done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bhtui.agent.foreign.model import NOTHING, Subject
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind

from . import holds, mirror
from .owner import Owner
from .tools import Tools


class ManagerHolds:
    """`owner` is that of the instance, `subject` the unit or container it stands for."""

    def __init__(self, owner: Owner, subject: Subject, tools: Tools) -> None:
        self._owner, self._subject, self._tools = owner, subject, tools
        self._turn = asyncio.Lock()
        self._is_let = False
        """Whether this agent has put back what an earlier one may have held."""
        self._at_end = False

    @property
    def concerns(self) -> bool:
        """Whether there is anything to be done: a window is open, or one was."""
        i = self._owner.instance
        return bool(self._window or i.restarts_before or i.held or i.restarts_trouble)

    @property
    def _window(self) -> str:
        return self._tools.held(self._owner.instance.service)

    async def settle(self) -> None:
        """What the windows want of its manager is so; trouble is told once, and tried again at the next look."""
        async with self._turn:
            if self._at_end:
                return
            try:
                await (self._hold() if self._window else self._let())
            except BlackholeError as trouble:
                await self._tell(str(trouble))

    async def give_back(self) -> None:
        """The agent or its concern with it ends: what the manager had is put back, and nothing is held from here on."""
        async with self._turn:
            self._at_end = True
            try:
                await self._let()
            except BlackholeError as trouble:
                await self._tell(str(trouble))

    async def _hold(self) -> None:
        i = self._owner.instance
        found = await self._subject.restarts()
        if found:
            await self._note(found, "")
            await self._subject.hold_restarts()
            await self._note(found, "", is_off=True)
            message = f"{holds.manager_of(i)} does not restart {i.name} by itself: {self._window}"
            self._tools.record(i.name, EventKind.RESTARTS_OFF, message, dict(found))
        elif i.restarts_before and (i.restarts_trouble or not i.restarts_off):
            await self._note(i.restarts_before, "", is_off=True)  # by an agent before, or at an earlier look
        await self._owner.ask(lambda i: mirror.on_window(i, self._window))

    async def _let(self) -> None:
        i = self._owner.instance
        if i.restarts_before or not self._is_let:
            await self._subject.let_restarts(i.restarts_before)
            self._is_let = True
        if i.restarts_before:
            message = f"{holds.manager_of(i)} restarts {i.name} by itself again"
            self._tools.record(i.name, EventKind.RESTARTS_ON, message, dict(i.restarts_before))
        if i.restarts_before or i.restarts_trouble:
            await self._note(NOTHING, "")
        if i.held and not self._at_end:
            await self._owner.ask(lambda i: mirror.on_let(i, self._tools.clock()))

    async def _tell(self, trouble: str) -> None:
        i = self._owner.instance
        if trouble != i.restarts_trouble:
            message = f"{i.name}: {trouble}"
            self._tools.record(i.name, EventKind.RESTARTS_NOT_HELD, message, {"trouble": trouble})
            await self._note(i.restarts_before, trouble)

    async def _note(self, restarts: Mapping[str, Any], trouble: str, is_off: bool = False) -> None:
        if self._owner.is_retired:
            return  # its record is gone with it
        await self._owner.ask(lambda i: holds.taken(i, dict(restarts), trouble, is_off))
