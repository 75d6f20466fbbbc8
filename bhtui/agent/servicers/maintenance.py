"""Maintenance windows: which are open, and when the others are."""

from __future__ import annotations

from collections.abc import Callable

from bhtui.core.maintenance import Window
from bhtui.rpc.blackhole.v1 import maintenance_pb2 as pb
from bhtui.rpc.blackhole.v1.maintenance_pb2_grpc import MaintenanceServicer
from bhtui.rpc.convert.maintenance import to_message

from .guard import Context


class Maintenance(MaintenanceServicer):
    """`windows` asks the room."""

    def __init__(self, windows: Callable[[], list[Window]], clock: Callable[[], int]) -> None:
        self._windows, self._clock = windows, clock

    async def Windows(self, request: pb.WindowsRequest, context: Context) -> pb.WindowsResponse:
        return pb.WindowsResponse(windows=map(to_message, self._windows()), time_ns=self._clock())
