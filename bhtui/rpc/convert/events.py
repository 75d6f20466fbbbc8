"""Events: messages, core types, and the JSON that `blackhole events` prints."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bhtui.core.event import Event
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import events_pb2 as pb

from .operations import actor_from_message, actor_to_message


def event_to_message(event: Event) -> pb.Event:
    return pb.Event(
        seq=event.seq,
        time_ns=event.time_ns,
        kind=event.kind,
        target=event.target,
        message=event.message,
        data=json.dumps(dict(event.data), separators=(",", ":"), ensure_ascii=False) if event.data else "",
        actor=None if event.actor is None else actor_to_message(event.actor),
    )


def event_from_message(message: pb.Event) -> Event:
    return Event(
        message.seq,
        message.time_ns,
        message.kind,
        message.target,
        message.message,
        json.loads(message.data) if message.data else {},
        actor_from_message(message.actor) if message.HasField("actor") else None,
    )


def batch_to_message(events: Iterable[Event]) -> pb.EventBatch:
    return pb.EventBatch(events=[event_to_message(event) for event in events])


def event_to_json(message: pb.Event, host: str = "") -> dict[str, Any]:
    """The object of `events --output json`; its keys and their order are fixed."""
    actor = message.actor
    return {
        "host": host,
        "seq": message.seq,
        "time": format_time(message.time_ns),
        "kind": message.kind,
        "target": message.target,
        "message": message.message,
        "data": json.loads(message.data) if message.data else {},
        "actor": {"name": actor.name, "origin": actor.origin} if message.HasField("actor") else None,
    }
