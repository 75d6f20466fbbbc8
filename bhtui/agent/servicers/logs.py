"""Captured output of the services."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from bhtui.agent.rooms.logs.outputs.room import Outputs as OutputsRoom
from bhtui.agent.rooms.logs.room import Logs as LogsRoom
from bhtui.rpc.blackhole.v1 import logs_pb2 as pb
from bhtui.rpc.blackhole.v1.logs_pb2_grpc import LogsServicer
from bhtui.rpc.convert.logs import (
    batch_to_message,
    by_own_clock,
    counts_to_message,
    output_to_message,
    query_from_message,
)

from .guard import Context

DEFAULT_BUCKETS = 60


class Logs(LogsServicer):
    """Hands the room's batches on; a client that does not read slows the room down, and loses nothing."""

    def __init__(self, room: LogsRoom, outputs: OutputsRoom) -> None:
        self._room, self._outputs = room, outputs

    async def Read(self, request: pb.LogsRequest, context: Context) -> AsyncIterator[pb.LogBatch]:
        async for batch in self._room.read(query_from_message(by_own_clock(request, time.time_ns()))):
            yield batch_to_message(batch, request.columns)

    async def Count(self, request: pb.CountLogsRequest, context: Context) -> AsyncIterator[pb.LogCounts]:
        query = query_from_message(by_own_clock(request.query, time.time_ns()))
        async for counts in self._room.count(query, max(0, request.bucket_ns), request.most or DEFAULT_BUCKETS):
            yield counts_to_message(counts)

    async def Outputs(self, request: pb.LogOutputsRequest, context: Context) -> pb.LogOutputsResponse:
        return pb.LogOutputsResponse(outputs=map(output_to_message, self._outputs.status))
