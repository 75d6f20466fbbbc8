"""Asks a service by its contract, blackhole.service.v1, and says plainly what it does not offer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


class NotOfferedError(BlackholeError):
    """The service's contract lacks it."""


async def clear_caches(service: str, address: str, timeout: float = TIMEOUT) -> str:
    """What was cleared, in words. Raises BlackholeError."""
    async with _contract(f"clear the caches of {service}", address) as stub:
        said = await stub.ClearCaches(pb.ClearCachesRequest(), timeout=timeout)
    told = ", ".join(f"{each.entries} of {each.name}" for each in said.cleared)
    return f"entries cleared: {told}" if told else "it has no caches"


async def collect_garbage(service: str, address: str, timeout: float = TIMEOUT) -> str:
    """What was collected, in words. Raises BlackholeError."""
    async with _contract(f"collect the garbage of {service}", address) as stub:
        said = await stub.CollectGarbage(pb.CollectGarbageRequest(), timeout=timeout)
    return f"{said.objects} objects, memory {format_size(said.bytes_before)} -> {format_size(said.bytes_after)}"


async def reload(service: str, address: str, timeout: float = TIMEOUT) -> str:
    """What changed when it read its configuration again, in words. Raises BlackholeError when it refuses that.

    One that does not offer it keeps what it has read, which is no failure.
    """
    try:
        async with _contract(f"reload {service}", address) as stub:
            said = await stub.Reload(pb.ReloadRequest(), timeout=timeout)
    except NotOfferedError:
        return "its contract offers no reload; it keeps what it has read"
    return f"changed: {', '.join(said.changed)}" if said.changed else "nothing of its own has changed"


async def verify(service: str, address: str, timeout: float = DATA_TIMEOUT) -> list[str] | None:
    """What it finds wrong with its data; None: it does not offer to look. Raises BlackholeError."""
    try:
        async with _contract(f"verify the data of {service}", address) as stub:
            return list((await stub.Verify(pb.VerifyRequest(full=True), timeout=timeout)).problems)
    except NotOfferedError:
        return None


async def repair(service: str, address: str, timeout: float = DATA_TIMEOUT) -> str | None:
    """What it has put right, in words; None: it does not offer to. Raises BlackholeError, also for what is left."""
    try:
        async with _contract(f"repair the data of {service}", address) as stub:
            said = await stub.Repair(pb.RepairRequest(), timeout=timeout)
    except NotOfferedError:
        return None
    done = "; ".join(said.actions) or "there was nothing to repair"
    if said.left:
        raise BlackholeError(f"cannot repair all of {service}: left is {'; '.join(said.left)}; done was: {done}")
    return done


@asynccontextmanager
async def _contract(what: str, address: str) -> AsyncIterator[pb_grpc.ContractAsyncStub]:
    """To ask for one thing. Raises BlackholeError; NotOfferedError: the service does not have that."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        try:
            yield pb_grpc.ContractStub(channel)
        except grpc.aio.AioRpcError as error:
            raise _failure(what, address, error) from None


def _failure(what: str, address: str, error: grpc.aio.AioRpcError) -> BlackholeError:
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            why = f"its contract at {address} does not offer that; the service itself must implement it"
            return NotOfferedError(f"cannot {what}: {why}")
        case grpc.StatusCode.UNAVAILABLE:
            why = f"nobody answers at {address}; is it running, and is its `contract` right?"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            why = f"{address} has not answered in time; it may be stuck, see `blackhole health check`"
        case code:
            why = f"{address} answers {code.name} {error.details() or ''}".strip()
    return BlackholeError(f"cannot {what}: {why}")
