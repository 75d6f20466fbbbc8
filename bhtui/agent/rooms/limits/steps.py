"""The kinds of steps of this room, do and undo side by side. Each may run again after a crash of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, RetryAfter, StepKind
from bhtui.core.override import Override, from_args

from . import contract
from .requests import CLEAR, COLLECT, LIFTED
from .resources import Resources

STARTING_RETRY = 0.05
"""Seconds until it is looked again whether an instance that is just being started has its process."""


def kinds(room: Resources) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [
        StepKind("limits.set", s.set_limits, s.unset_limits, timeout_reason="its process is not there yet"),
        StepKind("priority.set", s.set_priority, s.unset_priority, timeout_reason="its process is not there yet"),
        StepKind(CLEAR, s.clear_cache, NoUndo("a cache fills again by itself")),
        StepKind(COLLECT, s.collect_garbage, NoUndo("garbage is not wanted back")),
    ]


class _Steps:
    def __init__(self, room: Resources) -> None:
        self._room = room

    # ---- limits.set, priority.set --------------------------------------------------------------------------------

    async def set_limits(self, call: Call) -> Outcome:
        """Keeps the limits as overrides, or takes the overrides away, and holds what runs to them at once."""
        return await self._set_limits(call, self._wanted(call))

    async def unset_limits(self, call: Call) -> Outcome:
        """Puts the overrides from before in force again."""
        return await self._set_limits(call, _before(call))

    async def _set_limits(self, call: Call, changes: Mapping[str, Override | None]) -> Outcome:
        self._room.override(call.target, changes)
        if name := self._room.without_process(call.target):
            return RetryAfter(STARTING_RETRY, f"{name} is just being started")
        return Done(detail=await self._room.hold(call.target))

    async def set_priority(self, call: Call) -> Outcome:
        """Keeps the priorities as overrides, or takes the overrides away, and gives them to what runs at once."""
        return self._set_priority(call, self._wanted(call))

    async def unset_priority(self, call: Call) -> Outcome:
        """Puts the priorities from before in force again."""
        return self._set_priority(call, _before(call))

    def _set_priority(self, call: Call, changes: Mapping[str, Override | None]) -> Outcome:
        self._room.override(call.target, changes)
        if name := self._room.without_process(call.target):
            return RetryAfter(STARTING_RETRY, f"{name} is just being started")
        return Done(detail=self._room.prioritise(call.target))

    def _wanted(self, call: Call) -> dict[str, Override | None]:
        now = self._room.clock()
        values = call.args["values"]
        return {name: _override(value, call.actor_name, now) for name, value in values.items()}

    # ---- service.clear-cache, service.collect-garbage --------------------------------------------------------------

    async def clear_cache(self, call: Call) -> Outcome:
        """Asks the service, by its contract, to clear all its caches."""
        return Done(detail=await contract.clear_caches(call.target, call.args["contract"]))

    async def collect_garbage(self, call: Call) -> Outcome:
        """Asks the service, by its contract, to collect its garbage."""
        return Done(detail=await contract.collect_garbage(call.target, call.args["contract"]))


def _override(value: Any, actor: str, now: int) -> Override | None:
    return None if value is None else Override(None if value == LIFTED else value, actor, now)


def _before(call: Call) -> dict[str, Override | None]:
    return {name: from_args(each) for name, each in call.args["before"].items()}
