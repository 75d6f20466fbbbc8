"""What instances may use, what holds them to it, and how near they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from bhtui.core.resources import InstanceResources
from bhtui.core.status import HostStatus
from bhtui.rpc.blackhole.v1 import resources_pb2 as pb
from bhtui.rpc.blackhole.v1.resources_pb2_grpc import ResourcesServicer
from bhtui.rpc.convert.resources import to_message
from bhtui.rpc.convert.status import host_to_message

from .guard import Context


class Resources(ResourcesServicer):
    """`read` asks the room, `host` says how the host is."""

    def __init__(
        self, read: Callable[[Sequence[str]], Awaitable[list[InstanceResources]]], host: Callable[[], HostStatus]
    ) -> None:
        self._read, self._host = read, host

    async def Get(self, request: pb.ResourcesRequest, context: Context) -> pb.ResourcesResponse:
        seen = await self._read(tuple(request.names))
        return pb.ResourcesResponse(host=host_to_message(self._host()), instances=map(to_message, seen))
