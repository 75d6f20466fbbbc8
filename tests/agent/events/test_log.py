"""The event log: order, reading, following, the audit chain, retention."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent import upkeep as upkeep_module
from bhtui.agent.events.log import WINDOW, EventLog
from bhtui.agent.store import Store, StoreUnavailable
from bhtui.agent.upkeep import Retention, prune, upkeep
from bhtui.core.event import Event
from bhtui.core.operation import Actor
from tests.waiting import eventually


class Clock:
    """Unix nanoseconds that only move when told to."""

    now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(tmp_path / "agent.db", clock)
    yield store
    store.close()


@pytest.fixture
def events(store: Store) -> EventLog:
    return EventLog(store)


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events]


def test_append_and_read(events: EventLog, clock: Clock) -> None:
    written = events.append("instance.state", "api-1", "api-1: running", {"to": "running"}, Actor("ada", "desk"))
    assert written == Event(
        1, clock.now, "instance.state", "api-1", "api-1: running", {"to": "running"}, Actor("ada", "desk")
    )
    plain = events.append("agent.started")
    assert events.read() == [written, plain]
    assert events.read(after=1) == [plain]
    assert events.last_seq == 2


def test_odd_text_is_kept_as_well_as_can_be(events: EventLog) -> None:
    events.append("x", "a\0b", "odd \udcff name", {"name": "\udcff\0"})
    [event] = events.read()
    assert (event.target, event.message) == ("a\ufffdb", "odd ? name")
    assert event.data == {"name": "\udcff\0"}


def test_data_must_be_json(events: EventLog) -> None:
    with pytest.raises(ValueError, match="JSON"):
        events.append("x", data={"load": float("nan")})
    with pytest.raises(TypeError):
        events.append("x", data={"names": {"a", "b"}})
    assert events.last_seq == 0


def test_kinds_limit_and_tail(events: EventLog) -> None:
    for number in range(30):
        events.append(("instance.state", "instance.health", "instances")[number % 3])
    assert len(events.read(kinds=["instance."])) == 20
    assert seqs(events.read(kinds=["instance.state"], limit=3)) == [1, 4, 7]
    assert seqs(events.read(kinds=["instances"], tail=2)) == [27, 30]
    assert seqs(events.read(kinds=["instance.health", "instances"], after=25)) == [26, 27, 29, 30]
    assert seqs(events.read(tail=3)) == [28, 29, 30]
    assert seqs(events.read(after=29, tail=3)) == [30]


def test_rare_kind_far_away(store: Store, events: EventLog) -> None:
    with store.transaction() as db:
        for number in range(WINDOW * 2 + 10):
            db.execute("INSERT INTO events (time_ns, kind) VALUES (?, 'common')", (number,))
    rare = events.append("rare")
    assert events.read(kinds=["rare"]) == [rare]


async def test_follow_misses_nothing_and_repeats_nothing(events: EventLog) -> None:
    for _ in range(700):
        events.append("old")
    got: list[int] = []

    async def reader() -> None:
        async for batch in events.follow(after=100):
            assert batch
            got.extend(seqs(batch))
            await asyncio.sleep(0)

    task = asyncio.create_task(reader())
    for _ in range(50):
        events.append("new")
        await asyncio.sleep(0)
    await eventually(lambda: len(got) >= 650)
    assert got == list(range(101, 751))
    task.cancel()
    await asyncio.wait({task})
    assert not events._bells, "nothing is left of a follower"


async def test_follow_by_kind_is_woken_only_to_go_on(events: EventLog) -> None:
    got: list[str] = []

    async def reader() -> None:
        async for batch in events.follow(kinds=["b."]):
            got.extend(event.kind for event in batch)

    task = asyncio.create_task(reader())
    for kind in ("a", "b.1", "a", "b.2", "a"):
        events.append(kind)
        await asyncio.sleep(0)
    await eventually(lambda: got == ["b.1", "b.2"])
    task.cancel()
    await asyncio.wait({task})


async def test_bells(events: EventLog) -> None:
    waiting = events.changed()
    given_up = events.changed()
    given_up.cancel()
    with events.bell("api-1") as mine, events.bell() as any_event:
        events.append("x", "api-2")
        assert any_event.is_set() and not mine.is_set()
        events.append("x", "api-1")
        assert mine.is_set()
    await asyncio.wait_for(waiting, 60)
    await asyncio.sleep(0)
    assert not events._bells and not events._once


async def test_chain_is_as_documented(store: Store, events: EventLog) -> None:
    events.append("a", data={"z": 1, "b": "ü"}, actor=Actor("ada"))
    events.append("b", "api-1")
    previous = bytes(32)
    for event, (found,) in zip(events.read(), store.rows("SELECT hash FROM events ORDER BY seq"), strict=True):
        value = {
            "seq": event.seq, "time_ns": event.time_ns, "kind": event.kind, "target": event.target,
            "message": event.message, "data": event.data,
            "actor": {"name": event.actor.name, "origin": event.actor.origin} if event.actor else None,
        }  # fmt: skip
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(previous + text.encode()).digest()
        assert found == previous
    assert await events.verify_chain() is None


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE events SET message = 'nothing happened' WHERE seq = 700", 700),
        ("UPDATE events SET actor_name = 'eve' WHERE seq = 3", 3),
        ("DELETE FROM events WHERE seq = 10", 10),
        ("DELETE FROM events WHERE seq < 5", 1),
        ("DELETE FROM events WHERE seq > 995", 996),
        ("DELETE FROM events", 1),
        ("UPDATE anchor SET hash = zeroblob(31) || x'01'", 1),
    ],
)
async def test_tampering_is_found(store: Store, events: EventLog, tampering: str, broken: int) -> None:
    for number in range(1000):
        events.append("x", str(number))
    with store.transaction() as db:
        db.execute(tampering)
    assert await events.verify_chain() == broken
    assert await EventLog(store).verify_chain() == broken, "also after a restart"


async def test_pruning_by_count_and_age_keeps_numbers_and_chain(store: Store, events: EventLog, clock: Clock) -> None:
    for _ in range(1500):
        events.append("x")
    await prune(store, Retention(events=700))
    assert seqs(events.read(limit=1)) == [801]
    assert await events.verify_chain() is None
    clock.now += 1000
    events.append("x")
    await prune(store, Retention(events=700, age_ns=500))
    assert seqs(events.read()) == [1501]
    clock.now += 1000
    await prune(store, Retention(events=700, age_ns=500))
    assert events.read() == []
    assert events.stats().first_seq == 1502
    reopened = EventLog(store)
    assert reopened.last_seq == 1501
    assert reopened.append("x").seq == 1502, "a number is never used again"
    assert await reopened.verify_chain() is None
    with store.transaction() as db:
        db.execute("UPDATE events SET kind = 'y'")
    assert await reopened.verify_chain() == 1502


async def test_verify_while_pruning(store: Store, events: EventLog) -> None:
    for _ in range(3000):
        events.append("x")
    verifying = asyncio.create_task(events.verify_chain())
    await asyncio.sleep(0)
    await prune(store, Retention(events=100))
    assert await verifying is None


class Full:
    """A store's transaction while the disk is full. The real thing is in test_store; this one ends when told."""

    def __init__(self, store: Store, monkeypatch) -> None:
        self.full = True
        real = store.transaction

        def transaction():
            if self.full:
                raise StoreUnavailable("cannot write: the disk is full")
            return real()

        monkeypatch.setattr(store, "transaction", transaction)


async def test_upkeep_writes_what_did_not_fit_and_prunes(store: Store, events: EventLog, monkeypatch) -> None:
    monkeypatch.setattr(upkeep_module, "RETRY_SECONDS", 0.01)
    disk = Full(store, monkeypatch)
    waiting = [events.append("x", str(number)) for number in range(5)]
    store.save_instance("api-1", {"goal": "up"})
    assert {event.seq for event in waiting} == {0}
    task = asyncio.create_task(upkeep(store, events, Retention(events=3)))
    await asyncio.sleep(0)
    assert events.stats().pending == 5
    disk.full = False
    await eventually(lambda: seqs(events.read()) == [3, 4, 5])
    assert [event.target for event in events.read()] == ["2", "3", "4"], "in order"
    assert store.rows("SELECT instance FROM instances") == [("api-1",)]
    task.cancel()
    await asyncio.wait({task})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
written = st.tuples(
    st.text(min_size=1), st.text(), st.text(), st.dictionaries(st.text(), json_values, max_size=4),
    st.none() | st.builds(Actor, st.text(), st.text()),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(written, max_size=12))
async def test_whatever_is_appended_is_read_and_verifies(tmp_path_factory, many) -> None:
    store = Store(tmp_path_factory.mktemp("log") / "agent.db")
    events = EventLog(store)
    returned = [events.append(*one) for one in many]
    assert events.read() == returned
    assert [event.data for event in returned] == [data for _, _, _, data, _ in many]
    assert seqs(returned) == list(range(1, len(many) + 1))
    assert await events.verify_chain() is None
    store.close()
