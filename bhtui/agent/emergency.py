"""Who holds everything down since an emergency stop, for whoever looks at the status."""

from __future__ import annotations

import pwd
from datetime import datetime
from pathlib import Path

from bhtui.agent.events.log import EventLog
from bhtui.agent.journal.runner import Runner
from bhtui.agent.rooms.supervisor import held
from bhtui.core.event import EventKind

SECOND = 1_000_000_000
AROUND = 60 * SECOND
"""How far what was asked for may be from the keeper's mark and still be what made it."""


class EmergencyHold:
    """Found by the keeper's mark and what was done at that time; an agent that was away then knows nobody's name."""

    def __init__(self, events: EventLog, runner: Runner, mark: Path) -> None:
        self._events, self._runner, self._mark = events, runner, mark
        self._for, self._text = 0, ""

    def text(self) -> str:
        """`emergency stop by ada, 2026-03-18 03:12; ...`: by whom, since when, and what lifts it."""
        try:
            since = self._mark.stat().st_mtime_ns
        except OSError:
            return f"emergency stop; {held.RELEASE}"
        if since != self._for:
            by = self._by(since)
            self._for = since if by else 0  # not yet, perhaps
            self._text = f"emergency stop{by}, {_minute(since)}; {held.RELEASE}"
        return self._text

    def _by(self, since: int) -> str:
        """` by ada`, or empty."""
        for each in self._runner.list():
            if each.kind == "stop" and held.UNTIL in each.effects and abs(each.created_ns - since) < AROUND:
                return f" by {each.actor.name}"
        for event in self._events.read(kinds=(EventKind.EMERGENCY_STOP,), tail=1):
            if abs(event.time_ns - since) < AROUND and "uid" in event.data:
                return f" by {_name(int(event.data['uid']))}"
        return ""


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _minute(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / SECOND).astimezone():%Y-%m-%d %H:%M}"
