"""The ordered log of everything the agent observed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bhtui.agent.events.log import EventLog
from bhtui.rpc.blackhole.v1 import events_pb2 as pb
from bhtui.rpc.blackhole.v1.events_pb2_grpc import EventsServicer
from bhtui.rpc.convert.events import batch_to_message

from .guard import Context

BATCH = 1000
"""Events in one message."""


class Events(EventsServicer):
    """Reads pages until there are no more, then follows when asked to."""

    def __init__(self, events: EventLog) -> None:
        self._events = events

    async def Read(self, request: pb.EventsRequest, context: Context) -> AsyncIterator[pb.EventBatch]:
        kinds = tuple(request.kinds)
        after = request.after
        page = self._events.read(after, BATCH, kinds, request.tail)
        while page:
            yield batch_to_message(page)
            after = page[-1].seq
            page = self._events.read(after, BATCH, kinds)
        if request.follow:
            async for page in self._events.follow(after, kinds):
                yield batch_to_message(page)
