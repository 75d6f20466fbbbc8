"""What the database needs from time to time: room for what did not fit, and an end to what is old."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from .events.log import EventLog
from .store import Store, StoreError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
PRUNE_SECONDS = 60.0
EVENT_BATCH = 500
OPERATION_BATCH = 50
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history is kept. With the defaults the database stays under about 100 MB."""

    events: int = 200_000
    age_ns: int = 30 * _DAY_NS
    """Older events go, also when there are few."""
    operations: int = 10_000
    """Operations that have ended; open ones are always kept."""


async def upkeep(store: Store, events: EventLog, retention: Retention = Retention()) -> None:
    """Runs for as long as the agent does: a task of the wiring, ended by cancelling it."""
    loop = asyncio.get_running_loop()
    next_prune = loop.time()
    while True:
        saved, written = store.save_unsaved(), events.write_pending()
        if saved and written and loop.time() >= next_prune:
            await prune(store, retention)
            next_prune = loop.time() + PRUNE_SECONDS
        await asyncio.sleep(RETRY_SECONDS)


async def prune(store: Store, retention: Retention) -> None:
    """Removes what is over the bounds, in small batches with room for others between them."""
    try:
        while prune_events(store, retention) or prune_operations(store, retention):  # noqa: ASYNC110 gives way only
            await asyncio.sleep(0)
    except StoreError as error:
        log.warning("old history is kept for now: %s", error)


def prune_events(store: Store, retention: Retention) -> int:
    """Removes one batch of the oldest events and moves the chain's anchor along; how many went."""
    first, last = store.rows("SELECT min(seq), max(seq) FROM events")[0]
    if first is None:
        return 0
    keep_from = last + 1 - retention.events
    oldest_ns = store.clock() - retention.age_ns
    cut: tuple[int, bytes] | None = None
    for seq, time_ns, hashed in store.rows(
        "SELECT seq, time_ns, hash FROM events ORDER BY seq LIMIT ?", (EVENT_BATCH,)
    ):
        if seq >= keep_from and time_ns >= oldest_ns:
            break
        cut = (seq, hashed)
    if cut is None:
        return 0
    with store.transaction() as db:
        db.execute("UPDATE anchor SET seq = ?, hash = ?", cut)
        return db.execute("DELETE FROM events WHERE seq <= ?", cut[:1]).rowcount


def prune_operations(store: Store, retention: Retention) -> int:
    """Removes one batch of the oldest ended operations; how many went."""
    numbers = store.rows(
        "SELECT number FROM operations WHERE ended_ns > 0 AND number <= coalesce("
        "(SELECT number FROM operations WHERE ended_ns > 0 ORDER BY number DESC LIMIT 1 OFFSET ?), 0) "
        "ORDER BY number LIMIT ?",
        (retention.operations, OPERATION_BATCH),
    )
    if numbers:
        with store.transaction() as db:
            db.executemany("DELETE FROM steps WHERE operation = ?", numbers)
            db.executemany("DELETE FROM operations WHERE number = ?", numbers)
    return len(numbers)
