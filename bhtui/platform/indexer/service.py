"""Follows storage and keeps the words of every blob that is text in an index of SQLite's FTS5."""

from __future__ import annotations

import sqlite3
import time

import grpc

from bhtui.rpc.blackhole.service.v1 import indexer_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import indexer_pb2_grpc, storage_pb2

from .. import follow
from ..clients import DEADLINE, Guard, bearer
from ..contract import Context, Service
from ..contract.caches import Cache
from ..contract.database import Connection
from ..contract.options import Options

MOST = 200
CACHE_LIFE = 1.0
WORDS = """
    CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
    CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(name, body, content=documents, content_rowid=id);
    CREATE TRIGGER IF NOT EXISTS documents_in AFTER INSERT ON documents BEGIN
        INSERT INTO words(rowid, name, body) VALUES (new.id, new.name, new.body);
    END;
    CREATE TRIGGER IF NOT EXISTS documents_out AFTER DELETE ON documents BEGIN
        INSERT INTO words(words, rowid, name, body) VALUES ('delete', old.id, old.name, old.body);
    END;
"""


class Indexer(Service):
    """The service."""

    name = "indexer"
    needs = ("identity", "storage")
    schema = follow.SCHEMA + WORDS

    def __init__(self, given: Options) -> None:
        super().__init__(given)
        self.guard = Guard(self)
        self.follower = follow.Follower(self, self.take)
        self.searches: Cache[tuple[str, int], pb.SearchResponse] = Cache(1)
        self.caches["searches"] = self.searches

    def apply(self) -> None:
        super().apply()
        self.searches.capacity = self.tuning.get("cache_entries", int, 200)

    def register(self, server: grpc.aio.Server) -> None:
        indexer_pb2_grpc.add_IndexerServicer_to_server(IndexerApi(self), server)

    async def start(self) -> None:
        self.background(self.follower.run, follow.ABOUT)

    async def stop(self) -> None:
        await self.follower.close()
        await self.guard.close()

    def rebuild(self, connection: Connection) -> str:
        connection.execute("INSERT INTO words(words) VALUES ('rebuild')")
        connection.execute("INSERT INTO words(words) VALUES ('optimize')")
        return "all indexes and the index of words"

    def verify(self, connection: Connection, full: bool) -> tuple[list[str], int]:
        """Compares the index of words with the documents. Raises nothing: SQLite's complaint is the problem."""
        try:
            connection.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', ?)", (int(full),))
        except sqlite3.DatabaseError as error:
            return [f"the index of words does not fit the documents: {error}"], 0
        return [], int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])

    def repairs(self) -> list[str]:
        return ["build the index of words anew"]

    def repair(self, connection: Connection) -> list[str]:
        self.rebuild(connection)
        return ["built the index of words anew"]

    async def take(self, changes: list[storage_pb2.BlobInfo]) -> None:
        """Puts the changed blobs' words into the index, and how far this is, in one transaction."""
        bodies = {change.name: await self.body(change) for change in changes}

        def write(db: Connection) -> None:
            for name, body in bodies.items():
                db.change("DELETE FROM documents WHERE name = ?", (name,))
                if body is not None:
                    db.change("INSERT INTO documents(name, body) VALUES (?, ?)", (name, body))
            follow.remember(db, changes[-1].revision)

        await self.database.run(write)

    async def body(self, change: storage_pb2.BlobInfo) -> str | None:
        """The blob's text, nothing when it is no text; None when it no longer exists."""
        if not change.digest:
            return None
        try:
            blob = await self.follower.storage.Get(
                storage_pb2.GetRequest(name=change.name), timeout=DEADLINE, metadata=bearer(self.follower.token)
            )
            return blob.data.decode()
        except UnicodeDecodeError:
            return ""
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:  # deleted meanwhile; that change comes too
                return None
            raise


class IndexerApi(indexer_pb2_grpc.IndexerServicer):
    """The API."""

    def __init__(self, service: Indexer) -> None:
        self.service = service

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        await self.service.guard.caller(context)
        limit = min(request.limit or 20, MOST)
        if cached := self.service.searches.get((request.query, limit), time.monotonic()):
            return cached
        try:
            answer = await self.service.database.run(lambda db: search(db, request.query, limit))
        except sqlite3.OperationalError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"cannot search for {request.query!r}: {error}")
        self.service.searches.put((request.query, limit), answer, time.monotonic() + CACHE_LIFE)
        return answer

    async def Progress(self, request: pb.ProgressRequest, context: Context) -> pb.ProgressResponse:
        await self.service.guard.caller(context)

        def look(db: Connection) -> pb.ProgressResponse:
            documents = db.query("SELECT count(*) FROM documents")[0][0]
            return pb.ProgressResponse(revision=follow.revision(db), documents=documents)

        return await self.service.database.run(look)


def search(db: Connection, query: str, limit: int) -> pb.SearchResponse:
    """The best documents first. Raises sqlite3.OperationalError for a query that FTS5 does not understand."""
    sql = """SELECT name, snippet(words, 1, '[', ']', '...', 12) AS snippet, -bm25(words) AS score
             FROM words WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?"""
    rows = db.query(sql, (query, limit))
    total = db.query("SELECT count(*) FROM words WHERE words MATCH ?", (query,))[0][0]
    hits = [pb.Hit(name=row["name"], snippet=row["snippet"], score=row["score"]) for row in rows]
    return pb.SearchResponse(hits=hits, total=total)
