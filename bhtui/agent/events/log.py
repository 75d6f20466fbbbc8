"""The event log: append, read from any number on, follow, verify.

Followers read the table and are only woken by a bell, so a slow one costs nothing and misses nothing. Events that
the disk has no room for wait in memory, up to a bound; what does not fit there is counted, and an event tells the
count as soon as one can be written.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ...core.event import Event, EventKind
from ...core.operation import Actor
from ..store import Store, StoreError, clean
from .chain import canonical, chain_hash

log = logging.getLogger(__name__)

BATCH = 500
"""Events that are read at once: a few milliseconds of the loop's time."""

WINDOW = 5_000
"""Events that are looked through at once when only some kinds are wanted."""

PENDING_LIMIT = 1_000
"""Events that wait in memory while the disk is full."""

_COLUMNS = "seq, time_ns, kind, target, message, data, actor_name, actor_origin"


@dataclass(frozen=True, slots=True)
class EventStats:
    """The log at one moment."""

    first_seq: int
    """The oldest event that is still kept; last_seq + 1 when there is none."""
    last_seq: int
    pending: int
    """Events that wait for room on the disk."""
    lost: int
    """Events dropped since the start, because there was no room for them anywhere."""


class EventLog:
    """The one ordered log of a host."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last_seq: int = next(iter(store.rows("SELECT seq FROM sqlite_sequence WHERE name = 'events'")), (0,))[0]
        self._pending: deque[Event] = deque()
        self._lost = 0
        self._lost_told = 0
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._once: set[asyncio.Future[None]] = set()
        store.listeners.append(self._ring)

    # Writing

    def append(
        self,
        kind: str,
        target: str = "",
        message: str = "",
        data: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> Event:
        """Writes one event. When the disk has no room it waits in memory and comes back with seq 0; that never raises.

        Raises ValueError or TypeError when `data` is not JSON.
        """
        canonical(dict(data or {}))
        who = Actor(clean(actor.name), clean(actor.origin)) if actor else None
        event = Event(0, self._store.clock(), clean(kind), clean(target), clean(message), dict(data or {}), who)
        if not self._pending:
            try:
                return self._write([event])[-1]
            except StoreError as error:
                log.warning("events are kept in memory for now: %s", error)
        if len(self._pending) < PENDING_LIMIT:
            self._pending.append(event)
        else:
            self._lost += 1
        return event

    def write_pending(self) -> bool:
        """Tries again what there was no room for; whether nothing is left. Called once a second by upkeep."""
        if not self._pending:
            return True
        waiting = list(self._pending)
        if lost := self._lost - self._lost_told:
            text = f"{lost} events were lost: the agent's database could not be written"
            waiting.append(Event(0, self._store.clock(), EventKind.EVENTS_LOST, message=text, data={"count": lost}))
        try:
            self._write(waiting)
        except StoreError:
            return False
        self._pending.clear()
        self._lost_told += lost
        return True

    def _write(self, events: Sequence[Event]) -> list[Event]:
        written = []
        with self._store.transaction() as db:
            for event in events:
                actor = (event.actor.name, event.actor.origin) if event.actor else (None, None)
                cursor = db.execute(
                    "INSERT INTO events (time_ns, kind, target, message, data, actor_name, actor_origin) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (event.time_ns, event.kind, event.target, event.message, canonical(event.data), *actor),
                )
                written.append(replace(event, seq=cursor.lastrowid or 0))
        return written

    # Reading

    @property
    def last_seq(self) -> int:
        """The number of the newest event; 0: none yet."""
        return self._last_seq

    def stats(self) -> EventStats:
        """The log at this moment."""
        first = self._store.rows("SELECT min(seq) FROM events")[0][0]
        return EventStats(first or self._last_seq + 1, self._last_seq, len(self._pending), self._lost)

    def read(self, after: int = 0, limit: int = BATCH, kinds: Iterable[str] = (), tail: int = 0) -> list[Event]:
        """Events with a number above `after`, oldest first, at most `limit`; with `tail`, the newest so many of them.

        `kinds` are whole kinds, or their beginnings with a dot at the end (`instance.`); none: all.
        """
        wanted = tuple(kinds)
        if tail > 0:
            return self._tail(after, tail, wanted)
        found: list[Event] = []
        while after < self._last_seq and len(found) < limit:
            events, after = self._scan(after, limit - len(found), wanted)
            found += events
        return found

    def _scan(self, after: int, limit: int, kinds: tuple[str, ...]) -> tuple[list[Event], int]:
        """Wanted events of one window, and the number up to which was looked."""
        if kinds:
            # The oldest kept number may be far above `after`: the window begins there.
            until = (self._store.rows("SELECT min(seq) FROM events WHERE seq > ?", (after,))[0][0] or after) + WINDOW
        else:
            until = self._last_seq
        condition, args = _kind_condition(kinds)
        rows = self._store.rows(
            f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND seq <= ? {condition} ORDER BY seq LIMIT ?",  # noqa: S608
            (after, until, *args, limit),
        )
        return [_event(row) for row in rows], rows[-1][0] if len(rows) == limit else min(until, self._last_seq)

    def _tail(self, after: int, count: int, kinds: tuple[str, ...]) -> list[Event]:
        condition, args = _kind_condition(kinds)
        rows = self._store.rows(
            f"SELECT {_COLUMNS} FROM events WHERE seq > ? {condition} ORDER BY seq DESC LIMIT ?",  # noqa: S608
            (after, *args, count),
        )
        return [_event(row) for row in reversed(rows)]

    async def follow(self, after: int = 0, kinds: Iterable[str] = ()) -> AsyncIterator[list[Event]]:
        """Batches of events above `after`, then of those to come, without end; a batch is never empty."""
        wanted = tuple(kinds)
        with self.bell() as rung:
            while True:
                rung.clear()
                while after < self._last_seq:
                    events, after = self._scan(after, BATCH, wanted)
                    if events:
                        yield events
                    await asyncio.sleep(0)  # long histories are read in turns with everything else
                await rung.wait()

    # Waking

    @contextmanager
    def bell(self, about: str = "") -> Iterator[asyncio.Event]:
        """An asyncio.Event that is set by every new event, or only by those whose target is `about`."""
        rung = asyncio.Event()
        bells = self._bells.setdefault(about, set())
        bells.add(rung)
        try:
            yield rung
        finally:
            bells.discard(rung)
            if not bells and self._bells.get(about) is bells:
                del self._bells[about]

    def changed(self) -> asyncio.Future[None]:
        """Done at the first event after this call, whether it is awaited by then or later. Give it a timeout."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._once.add(future)
        future.add_done_callback(self._once.discard)
        return future

    def _ring(self, fresh: list[tuple[int, str]]) -> None:
        self._last_seq = fresh[-1][0]
        for future in tuple(self._once):
            if not future.done():
                future.set_result(None)
        for about in {"", *(target for _, target in fresh)}:
            for rung in self._bells.get(about, ()):
                rung.set()

    # The audit chain

    async def verify_chain(self) -> int | None:
        """The number of the first event whose hash is not right or that is missing; None when all are as written."""
        (seq, hashed) = self._store.rows("SELECT seq, hash FROM anchor")[0]
        last = self._last_seq
        while seq < last:
            # Pruning may have gone past us meanwhile.
            anchor_seq, anchor_hash = self._store.rows("SELECT seq, hash FROM anchor")[0]
            if anchor_seq > seq:
                seq, hashed = anchor_seq, anchor_hash
                continue
            rows = self._store.rows(
                f"SELECT hash, {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
                (seq, BATCH),
            )
            for found, *columns in rows:
                if columns[0] != seq + 1 or not _follows(hashed, columns, found):
                    return int(seq + 1)
                seq, hashed = columns[0], found
            if not rows:
                return int(seq + 1)
            await asyncio.sleep(0)
        return None


def _kind_condition(kinds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The SQL that selects kinds, and its arguments. A kind that ends with a dot stands for all that begin with it."""
    if not kinds:
        return "", ()
    # '/' follows '.' in the alphabet, so this is the range of all that begin so.
    parts = ["(kind >= ? AND kind < ?)" if kind.endswith(".") else "kind = ?" for kind in kinds]
    args = [arg for kind in kinds for arg in ((kind, kind[:-1] + "/") if kind.endswith(".") else (kind,))]
    return f"AND ({' OR '.join(parts)})", tuple(args)


def _follows(previous: Any, columns: Sequence[Any], found: Any) -> bool:
    """Whether a hash is right. Somebody who changed the file may have left other types than ours in it."""
    try:
        return bool(chain_hash(previous, *columns) == found)
    except (TypeError, ValueError):
        return False


def _event(row: tuple[Any, ...]) -> Event:
    seq, time_ns, kind, target, message, data, actor_name, actor_origin = row
    actor = None if actor_name is None else Actor(actor_name, actor_origin or "")
    return Event(seq, time_ns, kind, target, message, json.loads(data), actor)
