"""Blobs by name, in SQLite, with a revision that grows at every change, so that others can follow."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
import zlib

import grpc

from bhtui.core.units import parse_duration, parse_size
from bhtui.rpc.blackhole.service.v1 import storage_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import storage_pb2_grpc

from ..clients import Guard
from ..contract import Context, Service
from ..contract.caches import Cache
from ..contract.database import Connection
from ..contract.options import Options, switch

GET = "SELECT * FROM blobs WHERE name = ? AND digest != ''"
CHANGES = """
    SELECT name, digest, bytes, revision, time_ns, owner FROM blobs WHERE revision > ? ORDER BY revision LIMIT ?"""
LIST = """
    SELECT name, digest, bytes, revision, time_ns, owner FROM blobs
    WHERE name > ? AND substr(name, 1, ?) = ? AND digest != '' ORDER BY name LIMIT ?"""
LONGEST_WAIT = 60.0
CACHE_LIFE = 300.0
MOST = 1000
"""Entries in one answer."""


class Storage(Service):
    """The service."""

    name = "storage"
    needs = ("identity",)
    schema = """
        CREATE TABLE IF NOT EXISTS blobs (
            name TEXT PRIMARY KEY, digest TEXT NOT NULL, bytes INTEGER NOT NULL, revision INTEGER NOT NULL UNIQUE,
            time_ns INTEGER NOT NULL, owner TEXT NOT NULL, packed INTEGER NOT NULL, data BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS counter (revision INTEGER NOT NULL);
        INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);
    """

    def __init__(self, given: Options) -> None:
        super().__init__(given)
        self.guard = Guard(self)
        self.blobs: Cache[str, pb.Blob] = Cache(0)
        self.caches["blobs"] = self.blobs
        self.changed = asyncio.Condition()

    def apply(self) -> None:
        super().apply()
        self.blobs.capacity = self.tuning.get("cache_entries", int, 500)
        self.pack = self.tuning.get("compression", switch, True)
        self.largest = self.tuning.get("max_blob", parse_size, 3 << 20)
        self.tombstone_life = self.tuning.get("tombstone_life", parse_duration, 7 * 86400.0)

    def register(self, server: grpc.aio.Server) -> None:
        storage_pb2_grpc.add_StorageServicer_to_server(StorageApi(self), server)

    async def drain(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def stop(self) -> None:
        await self.guard.close()

    def purge(self, connection: Connection) -> int:
        """Forgets what was deleted long ago."""
        before = time.time_ns() - int(self.tombstone_life * 1e9)
        return connection.change("DELETE FROM blobs WHERE digest = '' AND time_ns < ?", (before,))

    def verify(self, connection: Connection, full: bool) -> tuple[list[str], int]:
        """When full, compares every blob with its digest."""
        if not full:
            return [], 0
        problems, count = [], 0
        for row in connection.execute("SELECT name, digest, packed, data FROM blobs WHERE digest != ''"):
            count += 1
            try:
                fits = hashlib.sha256(_unpacked(row)).hexdigest() == row["digest"]
            except zlib.error:
                fits = False
            if not fits:
                problems.append(f"the content of {row['name']!r} is not what was stored")
        return problems, count

    async def write(self, name: str, data: bytes, owner: str, deleted: bool = False) -> pb.BlobInfo:
        """Stores a new content, or its absence, under the next revision."""
        digest = "" if deleted else hashlib.sha256(data).hexdigest()
        packed = zlib.compress(data, 1) if self.pack else data
        use = len(packed) < len(data)

        def change(db: Connection) -> int:
            db.change("UPDATE counter SET revision = revision + 1")
            revision = int(db.query("SELECT revision FROM counter")[0][0])
            values = (name, digest, len(data), revision, info.time_ns, owner, use, packed if use else data)
            db.change("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return revision

        info = pb.BlobInfo(name=name, digest=digest, bytes=len(data), time_ns=time.time_ns(), owner=owner)
        info.revision = await self.database.run(change)
        self.blobs.drop(name)
        async with self.changed:
            self.changed.notify_all()
        return info

    async def read(self, name: str) -> pb.Blob | None:
        """The blob, unless it does not exist."""
        if cached := self.blobs.get(name, time.monotonic()):
            return cached
        row = await self.database.run(lambda db: db.one(GET, (name,)))
        if row is None:
            return None
        blob = pb.Blob(info=_info(row), data=_unpacked(row))
        self.blobs.put(name, blob, time.monotonic() + CACHE_LIFE)
        return blob

    async def changes(self, after: int, limit: int, wait: float) -> list[pb.BlobInfo]:
        """What changed since a revision; waits for the first if there is nothing yet."""
        end = time.monotonic() + wait
        while True:
            async with self.changed:
                rows = await self.database.run(lambda db: db.query(CHANGES, (after, limit)))
                left = end - time.monotonic()
                if rows or left <= 0 or not self.serving:
                    return [_info(row) for row in rows]
                try:
                    await asyncio.wait_for(self.changed.wait(), left)
                except TimeoutError:
                    return []


class StorageApi(storage_pb2_grpc.StorageServicer):
    """The API."""

    def __init__(self, service: Storage) -> None:
        self.service = service

    async def Put(self, request: pb.PutRequest, context: Context) -> pb.BlobInfo:
        owner = await self.service.guard.caller(context)
        if not 1 <= len(request.name) <= 256:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a name has 1 to 256 letters")
        if len(request.data) > self.service.largest:
            message = f"a blob has at most {self.service.largest} bytes, this one {len(request.data)}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        return await self.service.write(request.name, request.data, owner)

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.Blob:
        await self.service.guard.caller(context)
        return await self._existing(request.name, context)

    async def Delete(self, request: pb.GetRequest, context: Context) -> pb.BlobInfo:
        owner = await self.service.guard.caller(context)
        await self._existing(request.name, context)
        return await self.service.write(request.name, b"", owner, deleted=True)

    async def _existing(self, name: str, context: Context) -> pb.Blob:
        blob = await self.service.read(name)
        if blob is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no blob {name!r}")
        return blob

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        await self.service.guard.caller(context)
        values = (request.after, len(request.prefix), request.prefix, min(request.limit or 100, MOST))
        rows = await self.service.database.run(lambda db: db.query(LIST, values))
        return pb.ListResponse(blobs=map(_info, rows))

    async def Changes(self, request: pb.ChangesRequest, context: Context) -> pb.ChangesResponse:
        await self.service.guard.caller(context)
        limit, wait = min(request.limit or 100, MOST), min(request.wait_seconds, LONGEST_WAIT)
        return pb.ChangesResponse(changes=await self.service.changes(request.after, limit, wait))


def _info(row: sqlite3.Row) -> pb.BlobInfo:
    return pb.BlobInfo(**{key: row[key] for key in pb.BlobInfo.DESCRIPTOR.fields_by_name})


def _unpacked(row: sqlite3.Row) -> bytes:
    return zlib.decompress(row["data"]) if row["packed"] else bytes(row["data"])
