"""Peers that announce themselves; the roster is kept as a blob in storage, where everyone can read it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time

import grpc

from bhtui.core.units import parse_duration
from bhtui.rpc.blackhole.service.v1 import node_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import node_pb2_grpc, storage_pb2, storage_pb2_grpc

from ..clients import DEADLINE, Guard, bearer, channel, own_token
from ..contract import Context, Service
from ..contract.database import Connection
from ..contract.options import Options

ROSTER = "node/roster"
ABOUT = "publish the roster"
MOST = 10_000


class Node(Service):
    """The service."""

    name = "node"
    needs = ("identity", "storage")
    schema = """
        CREATE TABLE IF NOT EXISTS peers (
            name TEXT PRIMARY KEY, address TEXT NOT NULL, owner TEXT NOT NULL, seen_ns INTEGER NOT NULL,
            expires_ns INTEGER NOT NULL);
    """

    def __init__(self, given: Options) -> None:
        super().__init__(given)
        self.guard = Guard(self)
        self.channel = channel(given.needs["storage"])
        self.storage = storage_pb2_grpc.StorageStub(self.channel)
        self.token = own_token(given.token_file)
        self.published: list[str] | None = None

    def apply(self) -> None:
        super().apply()
        self.life = self.tuning.get("peer_life", parse_duration, 60.0)
        self.interval = self.tuning.get("announce_interval", parse_duration, 2.0)

    def register(self, server: grpc.aio.Server) -> None:
        node_pb2_grpc.add_NodeServicer_to_server(NodeApi(self), server)

    async def start(self) -> None:
        self.background(self.publish, ABOUT)

    async def stop(self) -> None:
        await self.channel.close()
        await self.guard.close()

    def purge(self, connection: Connection) -> int:
        return connection.change("DELETE FROM peers WHERE expires_ns < ?", (time.time_ns(),))

    async def publish(self) -> None:
        """Announces itself, forgets who is gone, and stores the roster whenever it is another."""
        while True:
            await self.announce(self.name, f"{self.options.host}:{self.port}", "platform")
            await self.database.run(self.purge)
            roster = sorted(f"{peer.name} {peer.address}" for peer in await self.peers())
            if roster != self.published:
                request = storage_pb2.PutRequest(name=ROSTER, data=json.dumps(roster).encode())
                await self.storage.Put(request, timeout=DEADLINE, metadata=bearer(self.token))
                self.published = roster
            self.fine(ABOUT)
            await asyncio.sleep(self.interval)

    async def announce(self, name: str, address: str, owner: str) -> pb.Peer | None:
        """Makes known or renews a peer; nothing when the name is another owner's."""
        now = time.time_ns()
        peer = pb.Peer(name=name, address=address, owner=owner, seen_ns=now, expires_ns=now + int(self.life * 1e9))

        def write(db: Connection) -> bool:
            held = db.one("SELECT owner FROM peers WHERE name = ? AND expires_ns > ?", (name, now))
            if held and held["owner"] != owner:
                return False
            values = (name, address, owner, peer.seen_ns, peer.expires_ns)
            db.change("INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?)", values)
            return True

        return peer if await self.database.run(write) else None

    async def peers(self) -> list[pb.Peer]:
        """Those who are there now."""
        sql = "SELECT * FROM peers WHERE expires_ns > ? ORDER BY name LIMIT ?"
        rows = await self.database.run(lambda db: db.query(sql, (time.time_ns(), MOST)))
        return [_peer(row) for row in rows]


class NodeApi(node_pb2_grpc.NodeServicer):
    """The API."""

    def __init__(self, service: Node) -> None:
        self.service = service

    async def Announce(self, request: pb.AnnounceRequest, context: Context) -> pb.Peer:
        owner = await self.service.guard.caller(context)
        if not 1 <= len(request.name) <= 128 or not 1 <= len(request.address) <= 256:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a peer has a name and an address")
        peer = await self.service.announce(request.name, request.address, owner)
        if peer is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"the peer {request.name!r} is another account's")
        return peer

    async def Peers(self, request: pb.PeersRequest, context: Context) -> pb.PeersResponse:
        await self.service.guard.caller(context)
        return pb.PeersResponse(peers=await self.service.peers())

    async def Leave(self, request: pb.LeaveRequest, context: Context) -> pb.LeaveResponse:
        owner = await self.service.guard.caller(context)
        sql = "DELETE FROM peers WHERE name = ? AND owner = ?"
        await self.service.database.run(lambda db: db.change(sql, (request.name, owner)))
        return pb.LeaveResponse()


def _peer(row: sqlite3.Row) -> pb.Peer:
    return pb.Peer(**{key: row[key] for key in row.keys()})  # noqa: SIM118 - a Row iterates over its values
