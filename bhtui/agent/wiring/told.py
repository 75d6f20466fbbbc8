"""What the keeper tells, handed to whom it concerns."""

from __future__ import annotations

import os

from bhtui.agent.ending import Ending
from bhtui.agent.events.log import EventLog
from bhtui.agent.keeper import Exit, Replaced
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.core.event import EventKind


class Told:
    """A listener of the keeper; before there is a supervisor, that one asks for itself what has ended."""

    def __init__(self, events: EventLog, ending: Ending) -> None:
        self._events, self._ending = events, ending
        self.supervisor: Supervisor | None = None

    def exited(self, ended: Exit) -> None:
        if self.supervisor:
            self.supervisor.on_exit(ended)

    def replaced(self, change: Replaced) -> None:
        message = f"the keeper died; process {change.new_pid} has taken over {len(change.adopted)} processes"
        data = {"old_pid": change.old_pid, "new_pid": change.new_pid, "lost": dict(change.lost)}
        self._events.append(EventKind.KEEPER_REPLACED, message=message, data=data)

    def terminate(self) -> None:
        self._ending.tell("this host is going down, or somebody ended the keeper", services=True)

    def emergency(self, uid: int, pid: int) -> None:
        if pid != os.getpid():  # what the agent itself was asked for is told as an operation
            message = f"everything was killed by user {uid}, process {pid}"
            data = {"uid": uid, "pid": pid}
            self._events.append(EventKind.EMERGENCY_STOP, message=message, data=data)
        if self.supervisor:
            self.supervisor.on_emergency()
