"""A service that speaks the platform's contract makes copies of its own, by PrepareBackup and FinishBackup."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from bhtui.core.errors import BlackholeError
from bhtui.core.units import counted
from bhtui.rpc.blackhole.service.v1 import contract_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import contract_pb2_grpc as pb_grpc

from ..model import Prepared, Work
from . import standins

OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


class Contract:
    """Asks every instance. One that does not offer it, or does not run, is taken as its files stand."""

    name = "have the service write copies"

    def __init__(self, addresses: Sequence[str], timeout: float) -> None:
        self._addresses, self._timeout = addresses, timeout

    async def before(self, work: Work) -> Prepared:
        """Raises BlackholeError."""
        copies: list[str] = []
        excludes: list[str] = []
        try:
            for address in self._addresses:
                said = await self._prepare(work, address)
                for each in said.files if said else ():
                    copies.append(str(await asyncio.to_thread(_stand_in, Path(each.path), Path(each.copy))))
                    excludes += [standins.excluded(each.path), standins.excluded(each.copy)]
                excludes += [standins.excluded(each) for each in said.skip] if said else []
        except BaseException:
            standins.remove(copies)
            raise
        note = f"the service wrote {counted(len(copies), 'copy').replace('copys', 'copies')}" if copies else ""
        return Prepared(excludes=tuple(excludes), learned={"copies": copies}, note=note)

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:  # noqa: ARG002
        """Removes the copies, and lets the service remove its own."""
        await asyncio.to_thread(standins.remove, learned.get("copies") or ())
        for address in self._addresses:
            async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
                stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
                try:
                    await stub.FinishBackup(pb.FinishBackupRequest(id=_id(work)), timeout=self._timeout)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE):
                        raise BlackholeError(
                            f"{work.service.name} could not remove its copies: {_why(error)}"
                        ) from None

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:  # noqa: ARG002
        """Puts the copies in place."""
        for folder in dict.fromkeys(staged.values()):
            await asyncio.to_thread(standins.put_in_place, Path(folder))

    async def _prepare(self, work: Work, address: str) -> pb.PrepareBackupResponse | None:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
            try:
                return await stub.PrepareBackup(pb.PrepareBackupRequest(id=_id(work)), timeout=self._timeout)
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE):
                    return None
                raise BlackholeError(f"{work.service.name} at {address} could not prepare: {_why(error)}") from None


def _id(work: Work) -> str:
    return "".join(char for char in work.operation_id if char.isalnum() or char in "-_")[:64]


def _why(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name} {error.details() or ''}".strip()


def _stand_in(live: Path, copy: Path) -> Path:
    """The service's copy, under the name by which a restore finds what it stands for. Raises BlackholeError."""
    target = standins.beside(live)
    standins.remove([target])
    with standins.told(f"link the copy {copy}"):
        os.link(copy, target)
    return target


async def verify(service: str, address: str, timeout: float) -> tuple[list[str], int]:
    """What the service's own full check finds wrong, and how much it looked at. Raises BlackholeError.

    One that does not offer it finds nothing, in nothing.
    """
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: pb_grpc.ContractAsyncStub = pb_grpc.ContractStub(channel)
        try:
            said = await stub.Verify(pb.VerifyRequest(full=True), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return [], 0
            raise BlackholeError(f"{service} at {address} could not check its data: {_why(error)}") from None
    return list(said.problems), said.checked
