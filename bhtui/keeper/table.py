"""The processes the keeper keeps: what it knows of each, until the agent says to forget it."""

from __future__ import annotations

import os

from bhtui.keeper import proc
from bhtui.keeper.capture import Capture, Logs
from bhtui.keeper.kill import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bhtui.keeper.loop import Loop

MAX_ENDED = 4096  # an agent that never forgets must not make the keeper grow
FIELDS = ("key", "tag", "pid", "start", "cgroups", "log", "spawned_ns", "adopted", "exit", "order", "forgotten")


class Entry:
    """One process. `exit` is None while it runs; `capture` lasts until both pipes have ended, maybe after it."""

    __slots__ = (*FIELDS, "capture", "pidfd")
    key: str
    tag: Any
    pid: int
    start: int
    cgroups: list[str]
    log: dict[str, Any]
    spawned_ns: int
    adopted: bool
    exit: dict[str, Any] | None
    order: int
    forgotten: bool
    pidfd: int
    capture: Capture | None

    def __init__(self, pidfd: int, **fields: Any) -> None:
        self.adopted, self.forgotten, self.exit, self.capture = False, False, None, None
        self.pidfd = pidfd
        for name, value in fields.items():
            setattr(self, name, value)

    def public(self) -> dict[str, Any]:
        """The entry as `list` and `spawn` tell it, without descriptors."""
        told = {name: getattr(self, name) for name in FIELDS if name != "forgotten"}
        return {**told, "boot": proc.boot_id(), "state": "running" if self.exit is None else "exited"}

    def fds(self) -> dict[str, int]:
        """The descriptors that go with it, by what they are."""
        return {"pidfd": self.pidfd, **(self.capture.fds() if self.capture else {})}

    def target(self) -> Target:
        """What the killer has to know."""
        return Target(self.key, self.pid, self.start, self.cgroups, self.exit["ticks"] if self.exit else 0)

    def dump(self) -> dict[str, Any]:
        """For an upgraded keeper."""
        capture = self.capture.fds() if self.capture else None
        return {"pidfd": self.pidfd, "capture": capture, **{name: getattr(self, name) for name in FIELDS}}


class Table:
    """Entries by key. A forgotten entry stays, unlisted, until its pipes have ended: somebody may still write."""

    def __init__(self, loop: Loop, logs: Logs) -> None:
        self.entries: dict[str, Entry] = {}
        self._lingering: set[Entry] = set()
        self._loop, self._logs = loop, logs
        self._order = 0

    def add(self, entry: Entry) -> None:
        """Takes a new entry."""
        self._order += 1
        entry.order = self._order
        self.entries[entry.key] = entry
        self._bound()

    def _bound(self) -> None:
        ended = [entry for entry in self.entries.values() if entry.exit] if len(self.entries) > MAX_ENDED else []
        for entry in ended[: max(0, len(ended) - MAX_ENDED)]:
            self.forget(entry)

    def capture(self, entry: Entry, fds: dict[str, int]) -> Capture:
        """Writes what comes out of these pipes. Raises OSError when the log cannot be opened."""
        log = self._logs.take(**entry.log)
        entry.capture = Capture(self._loop, self._logs, log, fds, lambda: self._pipes_ended(entry))
        return entry.capture

    def _pipes_ended(self, entry: Entry) -> None:
        entry.capture = None
        self._lingering.discard(entry)

    def forget(self, entry: Entry) -> None:
        """Drops an entry whose process has ended."""
        del self.entries[entry.key]
        os.close(entry.pidfd)
        entry.pidfd, entry.forgotten = -1, True
        if entry.capture:
            self._lingering.add(entry)

    def running(self) -> list[Entry]:
        """Those whose process has not ended."""
        return [entry for entry in self.entries.values() if entry.exit is None]

    def dump(self) -> dict[str, Any]:
        """For an upgraded keeper."""
        return {"order": self._order, "entries": [one.dump() for one in (*self.entries.values(), *self._lingering)]}

    def load(self, state: dict[str, Any]) -> None:
        """The opposite of `dump`."""
        self._order = state["order"]
        for fields in state["entries"]:
            capture = fields.pop("capture")
            entry = Entry(**fields)
            if capture:
                self.capture(entry, capture)
            if not entry.forgotten:
                self.entries[entry.key] = entry
            elif entry.capture:
                self._lingering.add(entry)

    def fds(self) -> list[int]:
        """Every descriptor the entries hold."""
        everyone = (*self.entries.values(), *self._lingering)
        return [fd for entry in everyone for fd in entry.fds().values() if fd >= 0]
