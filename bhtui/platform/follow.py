"""Following storage: every change, once and in order, remembered in the follower's own database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bhtui.rpc.blackhole.service.v1 import storage_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import storage_pb2_grpc

from .clients import DEADLINE, bearer, channel, own_token
from .contract import Service
from .contract.database import Connection

WAIT = 20.0
"""Seconds storage holds a question to which there is no answer yet."""
SCHEMA = """
    CREATE TABLE IF NOT EXISTS followed (revision INTEGER NOT NULL);
    INSERT INTO followed SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM followed);
"""
ABOUT = "follow storage"


def revision(connection: Connection) -> int:
    """How far storage has been followed."""
    return int(connection.query("SELECT revision FROM followed")[0][0])


def remember(connection: Connection, reached: int) -> None:
    """To be called in the transaction that takes over the changes up to there."""
    connection.change("UPDATE followed SET revision = ?", (reached,))


class Follower:
    """Hands the changes to `take`, which stores what it makes of them together with `remember`."""

    def __init__(self, service: Service, take: Callable[[list[pb.BlobInfo]], Awaitable[None]]) -> None:
        self.service = service
        self.take = take
        self.channel = channel(service.options.needs["storage"])
        self.storage = storage_pb2_grpc.StorageStub(self.channel)
        self.token = own_token(service.options.token_file)

    async def run(self) -> None:
        """Until it is cancelled; raises grpc.aio.AioRpcError when storage does not answer."""
        while True:
            after = await self.service.database.run(revision)
            request = pb.ChangesRequest(after=after, wait_seconds=WAIT)
            answer = await self.storage.Changes(request, timeout=WAIT + DEADLINE, metadata=bearer(self.token))
            self.service.fine(ABOUT)
            if answer.changes:
                await self.take(list(answer.changes))

    async def close(self) -> None:
        """Ends the connection."""
        await self.channel.close()
