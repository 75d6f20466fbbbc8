"""The agent itself: who it is, its end, its replacement by a newer one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bhtui.rpc.blackhole.v1 import agent_pb2 as pb
from bhtui.rpc.blackhole.v1.agent_pb2_grpc import AgentServicer

from .guard import Context


class Agent(AgentServicer):
    """`info`, `shutdown(keep_services, by)`, `upgrade(bundle, python)` are the wiring's: they concern all rooms."""

    def __init__(
        self,
        info: Callable[[], pb.AgentInfo],
        shutdown: Callable[[bool, str], Awaitable[None]],
        upgrade: Callable[[str, str], Awaitable[str]],
    ) -> None:
        self._info = info
        self._shutdown = shutdown
        self._upgrade = upgrade

    async def Info(self, request: pb.AgentInfoRequest, context: Context) -> pb.AgentInfo:
        return self._info()

    async def Shutdown(self, request: pb.ShutdownRequest, context: Context) -> pb.ShutdownResponse:
        await self._shutdown(request.keep_services, request.by or "somebody")
        return pb.ShutdownResponse()

    async def Upgrade(self, request: pb.UpgradeRequest, context: Context) -> pb.UpgradeResponse:
        return pb.UpgradeResponse(version=await self._upgrade(request.bundle_dir, request.python))
