"""Samples over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bhtui.agent.rooms.metrics.room import Metrics as MetricsRoom
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.rpc.blackhole.v1 import metrics_pb2 as pb
from bhtui.rpc.blackhole.v1.metrics_pb2_grpc import MetricsServicer
from bhtui.rpc.convert.metrics import query_from_message, remote_write_to_message, response_to_message

from .guard import Context


class Metrics(MetricsServicer):
    """Asks the room for series, and the endpoint for its page."""

    def __init__(
        self, room: MetricsRoom, page: Callable[[], str], remote_write: Callable[[], Sequence[RemoteWriteStatus]]
    ) -> None:
        self._room, self._page, self._remote_write = room, page, remote_write

    async def Read(self, request: pb.SeriesRequest, context: Context) -> pb.SeriesResponse:
        return response_to_message(await self._room.series(query_from_message(request)))

    async def Page(self, request: pb.PageRequest, context: Context) -> pb.PageResponse:
        return pb.PageResponse(text=self._page())

    async def RemoteWrite(self, request: pb.RemoteWriteRequest, context: Context) -> pb.RemoteWriteResponse:
        return remote_write_to_message(self._remote_write())
