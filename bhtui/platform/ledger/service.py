"""Entries that each carry the hash of the one before, so that no past entry can be changed unnoticed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time

import grpc

from bhtui.core.units import parse_duration
from bhtui.rpc.blackhole.service.v1 import ledger_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import ledger_pb2_grpc, storage_pb2

from .. import follow
from ..clients import Guard
from ..contract import Context, Service
from ..contract.database import Connection
from ..contract.options import Options

FIRST = "0" * 64
"""What stands for the hash before the first entry."""
LARGEST = 64 << 10
MOST = 1000


class Ledger(Service):
    """The service."""

    name = "ledger"
    needs = ("identity", "storage")
    schema = (
        """
        CREATE TABLE IF NOT EXISTS entries (
            number INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL,
            hash TEXT NOT NULL UNIQUE, previous TEXT NOT NULL);
        """
        + follow.SCHEMA
    )

    def __init__(self, given: Options) -> None:
        super().__init__(given)
        self.guard = Guard(self)
        self.follower = follow.Follower(self, self.take)

    def apply(self) -> None:
        super().apply()
        self.batch = self.tuning.get("batch_size", int, 1000)
        self.pause = self.tuning.get("sync_interval", parse_duration, 0.0)

    def register(self, server: grpc.aio.Server) -> None:
        ledger_pb2_grpc.add_LedgerServicer_to_server(LedgerApi(self), server)

    async def start(self) -> None:
        self.background(self.follower.run, follow.ABOUT)

    async def stop(self) -> None:
        await self.follower.close()
        await self.guard.close()

    def verify(self, connection: Connection, full: bool) -> tuple[list[str], int]:
        """The chain: all of it when full, else its last thousand entries."""
        sql = "SELECT * FROM (SELECT * FROM entries ORDER BY number DESC LIMIT ?) ORDER BY number"
        problems, previous, number, count = [], "", 0, 0
        for row in connection.execute(sql, (-1 if full else 1000,)):
            if not count:
                previous, number = (FIRST, 0) if row["number"] == 1 else (row["previous"], row["number"] - 1)
            count += 1
            if row["number"] != number + 1:
                problems.append(f"entries {number + 1} to {row['number'] - 1} are missing")
            if not _is_next(row, previous):
                problems.append(f"entry {row['number']} is not what was written")
            previous, number = row["hash"], row["number"]
        return problems, count

    async def take(self, changes: list[storage_pb2.BlobInfo]) -> None:
        """An entry for each change, and how far this is, in one transaction; then the pause that tuning asks for."""

        def write(db: Connection) -> None:
            for change in part:
                kind = "storage.put" if change.digest else "storage.delete"
                append(db, kind, _record(change), time.time_ns())
            follow.remember(db, part[-1].revision)

        for start in range(0, len(changes), self.batch):
            part = changes[start : start + self.batch]
            await self.database.run(write)
        await asyncio.sleep(self.pause)


class LedgerApi(ledger_pb2_grpc.LedgerServicer):
    """The API."""

    def __init__(self, service: Ledger) -> None:
        self.service = service

    async def Append(self, request: pb.AppendRequest, context: Context) -> pb.Entry:
        await self.service.guard.caller(context)
        if not 1 <= len(request.kind) <= 64 or len(request.data) > LARGEST:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"a kind has 1 to 64 letters, the data have at most {LARGEST} bytes"
            )
        return await self.service.database.run(lambda db: append(db, request.kind, request.data, time.time_ns()))

    async def Read(self, request: pb.ReadRequest, context: Context) -> pb.ReadResponse:
        await self.service.guard.caller(context)
        sql = "SELECT * FROM entries WHERE number > ? ORDER BY number LIMIT ?"
        values = (request.after, min(request.limit or 100, MOST))
        rows = await self.service.database.run(lambda db: db.query(sql, values))
        return pb.ReadResponse(entries=map(_entry, rows))

    async def Head(self, request: pb.HeadRequest, context: Context) -> pb.Entry:
        await self.service.guard.caller(context)
        row = await self.service.database.run(_last)
        if row is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no entry yet")
        return _entry(row)


def _is_next(row: sqlite3.Row, previous: str) -> bool:
    """Whether an entry is what was written after the one with that hash, down to the types of its values."""
    try:
        hashed = _hash(previous, row["number"], row["time_ns"], row["kind"], row["data"])
    except TypeError:
        return False
    return (row["previous"], row["hash"]) == (previous, hashed)


def _record(change: storage_pb2.BlobInfo) -> bytes:
    what = {"name": change.name, "digest": change.digest, "revision": change.revision, "owner": change.owner}
    return json.dumps(what).encode()


def append(db: Connection, kind: str, data: bytes, time_ns: int) -> pb.Entry:
    """The next entry of the chain."""
    last = _last(db)
    number, previous = (last["number"] + 1, last["hash"]) if last else (1, FIRST)
    entry = pb.Entry(number=number, time_ns=time_ns, kind=kind, data=data, previous=previous)
    entry.hash = _hash(previous, number, time_ns, kind, data)
    db.change("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", (number, time_ns, kind, data, entry.hash, previous))
    return entry


def _last(db: Connection) -> sqlite3.Row | None:
    return db.one("SELECT * FROM entries ORDER BY number DESC LIMIT 1")


def _entry(row: sqlite3.Row) -> pb.Entry:
    return pb.Entry(**{key: row[key] for key in row.keys()})  # noqa: SIM118 - a Row iterates over its values


def _hash(previous: str, number: int, time_ns: int, kind: str, data: bytes) -> str:
    head = f"{previous}\n{number}\n{time_ns}\n{kind}\n".encode()
    return hashlib.sha256(head + data).hexdigest()
