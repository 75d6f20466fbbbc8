"""Asks a service by its contract, blackhole.service.v1, and says plainly what it does not offer."""

from __future__ import annotations

from typing import TypeVar

import grpc
import grpc.aio

from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_size
from bhtui.rpc.blackhole.service.v1 import contract_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import contract_pb2_grpc as pb_grpc

TIMEOUT = 30.0
"""Seconds; collecting the garbage of a large heap takes some."""
DATA_TIMEOUT = 3600.0
"""Seconds; all of the data may be read."""
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
T = TypeVar("T")


async def clear_caches(service: str, address: str, timeout: float = TIMEOUT) -> str:
    """What was cleared, in words. Raises BlackholeError."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
        try:
            said = await stub.ClearCaches(pb.ClearCachesRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _failure(f"clear the caches of {service}", address, error) from None
    told = ", ".join(f"{each.entries} of {each.name}" for each in said.cleared)
    return f"entries cleared: {told}" if told else "it has no caches"


async def collect_garbage(service: str, address: str, timeout: float = TIMEOUT) -> str:
    """What was collected, in words. Raises BlackholeError."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
        try:
            said = await stub.CollectGarbage(pb.CollectGarbageRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _failure(f"collect the garbage of {service}", address, error) from None
    return f"{said.objects} objects, memory {format_size(said.bytes_before)} -> {format_size(said.bytes_after)}"


async def reload(service: str, address: str, timeout: float = TIMEOUT) -> str:
    """What changed when it read its configuration again, in words. Raises BlackholeError when it refuses that.

    One that does not offer it keeps what it has read, which is no failure.
    """
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
        try:
            said = await stub.Reload(pb.ReloadRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return "its contract offers no reload; it keeps what it has read"
            raise _failure(f"reload {service}", address, error) from None
    return f"changed: {', '.join(said.changed)}" if said.changed else "nothing of its own has changed"


async def verify(service: str, address: str, timeout: float = DATA_TIMEOUT) -> list[str] | None:
    """What it finds wrong with its data; None: it does not offer to look. Raises BlackholeError."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
        try:
            return list((await stub.Verify(pb.VerifyRequest(full=True), timeout=timeout)).problems)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise _failure(f"verify the data of {service}", address, error) from None


async def repair(service: str, address: str, timeout: float = DATA_TIMEOUT) -> str | None:
    """What it has put right, in words; None: it does not offer to. Raises BlackholeError, also for what is left."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
        try:
            said = await stub.Repair(pb.RepairRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise _failure(f"repair the data of {service}", address, error) from None
    done = "; ".join(said.actions) or "there was nothing to repair"
    if said.left:
        raise BlackholeError(f"cannot repair all of {service}: left is {'; '.join(said.left)}; done was: {done}")
    return done


def _failure(what: str, address: str, error: grpc.aio.AioRpcError) -> BlackholeError:
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            why = f"its contract at {address} does not offer that; the service itself must implement it"
        case grpc.StatusCode.UNAVAILABLE:
            why = f"nobody answers at {address}; is it running, and is its `contract` right?"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            why = f"{address} has not answered in time; it may be stuck, see `blackhole health check`"
        case code:
            why = f"{address} answers {code.name} {error.details() or ''}".strip()
    return BlackholeError(f"cannot {what}: {why}")
