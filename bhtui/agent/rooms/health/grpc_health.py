"""gRPC: the contract of the platform where it is offered, else grpc.health.v1.

grpc.health.v1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) has one message with one enum field, so
its two messages are read and written by hand instead of with generated code.
"""

from __future__ import annotations

import grpc
import grpc.aio

from bhtui.rpc.blackhole.service.v1 import contract_pb2

from .model import ProbeResult

CONTRACT = "/blackhole.service.v1.Contract/Health"
HEALTH = "/grpc.health.v1.Health/Check"
SERVING_STATUS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
OPTIONS = (
    # A pool shared between channels would share the pause after a failed connect, and readiness were seen late.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)
_Status = contract_pb2.HealthResponse


class GrpcProbe:
    """`target` is `host:port` or `unix:PATH`. The connection is kept as long as it answers."""

    def __init__(self, target: str, timeout: float) -> None:
        self._target = f"127.0.0.1{target}" if target.startswith(":") else target
        self._timeout = timeout
        self._channel: grpc.aio.Channel | None = None
        self._has_contract = True

    async def ask(self) -> ProbeResult:
        try:
            result = await self._ask_either()
        except grpc.aio.AioRpcError as error:
            result = ProbeResult(False, detail=f"{self._target}: {_reason(error)}")
        if not result.ok:
            await self.close()  # the next probe connects at once, not after gRPC's own pause
        return result

    async def _ask_either(self) -> ProbeResult:
        if self._has_contract:
            try:
                return _from_contract(await self._call(CONTRACT))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise
                self._has_contract = False
        return _from_health(await self._call(HEALTH))

    async def _call(self, method: str) -> bytes:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=OPTIONS)
        # Without serializers: bytes in, bytes out.
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)
        return bytes(await call(b"", timeout=self._timeout))

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()


def _from_contract(data: bytes) -> ProbeResult:
    said = contract_pb2.HealthResponse.FromString(data)
    if said.status in (_Status.HEALTHY, _Status.STATUS_UNSPECIFIED):
        return ProbeResult(True)
    return ProbeResult(said.status == _Status.DEGRADED, said.status == _Status.DEGRADED, said.detail)


def _from_health(data: bytes) -> ProbeResult:
    """HealthCheckResponse: field 1 is the status, a varint of one byte; absent means UNKNOWN."""
    number = data[1] if len(data) > 1 and data[0] == 0x08 else 0
    name = SERVING_STATUS[number] if number < len(SERVING_STATUS) else str(number)
    return ProbeResult(name == "SERVING", detail="" if name == "SERVING" else f"it says {name}")


def _reason(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "it answers, but offers neither grpc.health.v1 nor the contract; use a tcp probe"
    if "Connection refused" in (error.details() or ""):
        return "connection refused"
    return f"{error.code().name} {(error.details() or '').splitlines()[0] if error.details() else ''}".strip()
