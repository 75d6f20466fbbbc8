"""grpc.health.v1: whether the server, or one service in it, can be used.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from . import wire

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
WATCH_INTERVAL = 1.0


class HealthService:
    """Answers Check and Watch from `serving`, which is asked each time; `names` are the services it speaks for."""

    def __init__(self, serving: Callable[[], bool], names: Callable[[], set[str]]) -> None:
        self.serving = serving
        self.names = names

    def handler(self) -> grpc.GenericRpcHandler:
        """For `add_generic_rpc_handlers`."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self.check),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        }
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)

    def status(self, request: bytes) -> int:
        """Of the service that a HealthCheckRequest names; of the whole server when it names none."""
        name = bytes(wire.parse(request).get(1, b"")).decode()
        if name and name not in self.names():
            return SERVICE_UNKNOWN
        return SERVING if self.serving() else NOT_SERVING

    async def check(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """HealthCheckResponse; NOT_FOUND for a service that is not here."""
        status = self.status(request)
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return wire.field(1, status)

    async def watch(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
        """HealthCheckResponse now and after each change, until the caller goes away."""
        last = 0
        while True:
            status = self.status(request)
            if status != last:
                last = status
                yield wire.field(1, status)
            await asyncio.sleep(WATCH_INTERVAL)
