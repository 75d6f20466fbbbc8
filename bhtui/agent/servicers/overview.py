"""What the host runs, declared or not, and what it has."""

from __future__ import annotations

from bhtui.agent.rooms.overview.room import OverviewRoom
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb
from bhtui.rpc.blackhole.v1.overview_pb2_grpc import OverviewServicer
from bhtui.rpc.convert.overview import to_message

from .guard import Context


class Overview(OverviewServicer):
    """Asks the room."""

    def __init__(self, room: OverviewRoom) -> None:
        self._room = room

    async def Get(self, request: pb.OverviewRequest, context: Context) -> pb.OverviewResponse:
        return to_message(await self._room.read())
