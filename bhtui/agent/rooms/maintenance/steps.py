"""The kinds of steps of this room, do and undo side by side. Each may run again after a crash of the agent."""

from __future__ import annotations

from bhtui.agent.journal.model import Call, Done, Outcome, StepKind

from .book import Entry
from .requests import CLOSE, OPEN
from .room import Maintenance

ID_LENGTH = 8
"""How much of an operation's id names the window that it opened."""


def kinds(room: Maintenance) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [StepKind(OPEN, s.open, s.unopen), StepKind(CLOSE, s.close, s.unclose)]


class _Steps:
    def __init__(self, room: Maintenance) -> None:
        self._room = room

    async def open(self, call: Call) -> Outcome:
        """Opens the window, which is named after its operation."""
        args, name = call.args, call.operation_id[:ID_LENGTH]
        services = tuple(args["services"])
        self._room.open(Entry(name, services, args["from_ns"], args["until_ns"], call.actor_name, call.reason))
        return Done(detail=f'maintenance window "{name}" is open')

    async def unopen(self, call: Call) -> Outcome:
        """Closes it again."""
        self._room.remove(call.operation_id[:ID_LENGTH])
        return Done()

    async def close(self, call: Call) -> Outcome:
        """Closes a window; a declared one opens again when its time comes next."""
        if call.args["start"]:
            self._room.close_early(call.target, call.args["until_ns"])
        else:
            self._room.remove(call.target)
        return Done()

    async def unclose(self, call: Call) -> Outcome:
        """It is open as before, if its time is not over."""
        args = call.args
        if args["start"]:
            self._room.close_early(call.target, None)
        else:
            services = tuple(args["services"])
            self._room.open(
                Entry(call.target, services, args["from_ns"], args["until_ns"], args["actor"], args["reason"])
            )
        return Done()
