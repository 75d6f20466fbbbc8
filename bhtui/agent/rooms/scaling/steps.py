"""The kinds of steps of this room, do and undo side by side. Each may run again after a crash of the agent."""

from __future__ import annotations

from bhtui.agent.journal.model import Call, Done, Outcome, StepKind
from bhtui.core.override import Override, from_args

from .requests import SET
from .room import Scaling


def kinds(room: Scaling) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [StepKind(SET, s.set, s.unset)]


class _Steps:
    def __init__(self, room: Scaling) -> None:
        self._room = room

    async def set(self, call: Call) -> Outcome:
        """Keeps bounds and thresholds as overrides, or takes the overrides away; the watch goes by them at once."""
        now = self._room.clock()
        values = call.args["values"]
        changes = {n: None if value is None else Override(value, call.actor_name, now) for n, value in values.items()}
        self._room.override(call.target, changes)
        return Done(detail=self._room.said(call.target))

    async def unset(self, call: Call) -> Outcome:
        """Puts the overrides from before in force again."""
        self._room.override(call.target, {name: from_args(each) for name, each in call.args["before"].items()})
        return Done(detail=self._room.said(call.target))
