"""blackhole.service.v1.Contract for a Service: each method a few lines over the parts that do the work."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import threading
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc

from bhtui.rpc.blackhole.service.v1 import contract_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import contract_pb2_grpc

from .observe import Filter

if TYPE_CHECKING:
    from .service import Service

Context = grpc.aio.ServicerContext[Any, Any]
CHUNK = 256 << 10
LONGEST = 3600.0
"""Seconds a trace or a heap dump may run."""
HEAP_LINES = 200


class ContractService(contract_pb2_grpc.ContractServicer):
    """The contract; the service's own part of it is in its hooks."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def Health(self, request: pb.HealthRequest, context: Context) -> pb.HealthResponse:
        return self.service.health()

    async def ClearCaches(self, request: pb.ClearCachesRequest, context: Context) -> pb.ClearCachesResponse:
        caches = self.service.caches
        if unknown := [name for name in request.names if name not in caches]:
            known = ", ".join(caches) or "none"
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no cache {unknown[0]!r}; there is: {known}")
        names = request.names or caches
        return pb.ClearCachesResponse(
            cleared=[pb.ClearCachesResponse.Cleared(name=name, entries=caches[name].clear()) for name in names]
        )

    async def CollectGarbage(self, request: pb.CollectGarbageRequest, context: Context) -> pb.CollectGarbageResponse:
        before = resident_bytes()
        objects = await asyncio.to_thread(gc.collect)
        return pb.CollectGarbageResponse(objects=objects, bytes_before=before, bytes_after=resident_bytes())

    async def HeapDump(self, request: pb.HeapDumpRequest, context: Context) -> AsyncIterator[pb.Chunk]:
        seconds = request.duration_seconds or 1.0
        if not 0 < seconds <= LONGEST:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"the duration must be above 0 and up to {LONGEST:g} s"
            )
        text = (await _heap(seconds)).encode()
        for start in range(0, len(text), CHUNK):
            yield pb.Chunk(data=text[start : start + CHUNK], format="" if start else "text/tracemalloc")

    async def Trace(self, request: pb.TraceRequest, context: Context) -> AsyncIterator[pb.Span]:
        seconds = request.duration_seconds or 10.0
        if not 0 < seconds <= LONGEST:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"the duration must be above 0 and up to {LONGEST:g} s"
            )
        try:
            wanted = Filter(request.filter)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        async for span in self.service.tracer.follow(seconds, wanted, request.minimum_seconds):
            yield span

    async def Stacks(self, request: pb.StacksRequest, context: Context) -> pb.StacksResponse:
        return pb.StacksResponse(stacks=stacks())

    async def SlowQueries(self, request: pb.SlowQueriesRequest, context: Context) -> pb.SlowQueriesResponse:
        timings = await self.service.database.timings(request.reset)
        slow = [(sql, t) for sql, t in timings.items() if t.maximum >= request.minimum_seconds]
        slow.sort(key=lambda entry: entry[1].maximum, reverse=True)
        return pb.SlowQueriesResponse(
            queries=[
                pb.Query(
                    statement=sql, count=t.count, total_seconds=t.total, maximum_seconds=t.maximum, last_ns=t.last_ns
                )
                for sql, t in slow[: request.limit or 20]
            ]
        )

    async def Compact(self, request: pb.DatabaseRequest, context: Context) -> pb.DatabaseResponse:
        async def work() -> str:
            dropped = await self.service.database.run(self.service.purge)
            await self.service.database.vacuum()
            return f"dropped {dropped} rows that nobody needs, and the empty pages"

        return await self._upkeep(work)

    async def Vacuum(self, request: pb.DatabaseRequest, context: Context) -> pb.DatabaseResponse:
        return await self._upkeep(self.service.database.vacuum, "wrote the file anew without its empty pages")

    async def RebuildIndexes(self, request: pb.DatabaseRequest, context: Context) -> pb.DatabaseResponse:
        async def work() -> str:
            await self.service.database.reindex()
            return "built anew " + await self.service.database.run(self.service.rebuild)

        return await self._upkeep(work)

    async def Analyze(self, request: pb.DatabaseRequest, context: Context) -> pb.DatabaseResponse:
        return await self._upkeep(self.service.database.analyze, "renewed the planner's statistics")

    async def _upkeep(self, work: Callable[[], Awaitable[str | None]], detail: str = "") -> pb.DatabaseResponse:
        before, start = self.service.database.size(), time.perf_counter()
        said = await work()
        seconds = time.perf_counter() - start
        after = self.service.database.size()
        return pb.DatabaseResponse(bytes_before=before, bytes_after=after, seconds=seconds, detail=said or detail)

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> pb.VerifyResponse:
        problems, checked = await self._problems(request.full)
        return pb.VerifyResponse(problems=problems, checked=checked)

    async def _problems(self, full: bool) -> tuple[list[str], int]:
        problems = await self.service.database.verify(full)
        try:
            own, checked = await self.service.database.run(lambda connection: self.service.verify(connection, full))
        except sqlite3.DatabaseError as error:
            own, checked = [str(error)], 0
        return [*problems, *own], checked

    async def Repair(self, request: pb.RepairRequest, context: Context) -> pb.RepairResponse:
        problems, _ = await self._problems(full=True)
        if not problems or request.dry_run:
            actions = ["build all indexes anew", *self.service.repairs()] if problems else []
            return pb.RepairResponse(actions=actions, left=problems)
        try:
            await self.service.database.reindex()
            done = await self.service.database.run(self.service.repair)
        except sqlite3.DatabaseError as error:
            return pb.RepairResponse(left=[*problems, f"cannot repair: {error}; restore a backup"])
        return pb.RepairResponse(actions=["built all indexes anew", *done], left=(await self._problems(full=True))[0])

    async def PrepareBackup(self, request: pb.PrepareBackupRequest, context: Context) -> pb.PrepareBackupResponse:
        database = self.service.database
        try:
            copy = await database.backup(request.id)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        file = pb.PrepareBackupResponse.File(path=str(database.file), copy=str(copy))
        return pb.PrepareBackupResponse(files=[file], skip=database.journals)

    async def FinishBackup(self, request: pb.FinishBackupRequest, context: Context) -> pb.FinishBackupResponse:
        try:
            self.service.database.forget_backup(request.id)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return pb.FinishBackupResponse()

    async def Reload(self, request: pb.ReloadRequest, context: Context) -> pb.ReloadResponse:
        try:
            return pb.ReloadResponse(changed=self.service.reload())
        except (ValueError, OSError) as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"cannot reload: {error}; nothing was changed")


def resident_bytes() -> int:
    """Memory of this process that is in RAM. Source: proc_pid_statm(5)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def stacks() -> list[pb.Stack]:
    """What all threads and tasks are doing."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = [
        pb.Stack(kind="thread", name=names.get(ident, str(ident)), frames=_frames(traceback.extract_stack(frame)))
        for ident, frame in sys._current_frames().items()
    ]
    for task in asyncio.all_tasks():
        entries = [entry for frame in task.get_stack() for entry in traceback.extract_stack(frame, 1)]
        found.append(pb.Stack(kind="task", name=task.get_name(), frames=_frames(entries)))
    return found


def _frames(entries: list[traceback.FrameSummary] | traceback.StackSummary) -> list[str]:
    return [f"{entry.name} ({entry.filename}:{entry.lineno})" for entry in reversed(entries)]


async def _heap(seconds: float) -> str:
    """What was allocated within the next seconds and is still there, by line; and all objects by type."""
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        if not already:
            await asyncio.sleep(seconds)
        snapshot = tracemalloc.take_snapshot()
    finally:
        if not already:
            tracemalloc.stop()
    return await asyncio.to_thread(_heap_text, snapshot, seconds)


def _heap_text(snapshot: tracemalloc.Snapshot, seconds: float) -> str:
    lines = snapshot.statistics("lineno")
    types = Counter(type(thing).__qualname__ for thing in gc.get_objects())
    return "\n".join(
        [
            f"# resident {resident_bytes()} bytes",
            f"# allocated within {seconds:g} s and kept: bytes, objects, line",
            *(f"{s.size} {s.count} {s.traceback[0].filename}:{s.traceback[0].lineno}" for s in lines[:HEAP_LINES]),
            "# all objects that the garbage collector knows: objects, type",
            *(f"{count} {name}" for name, count in types.most_common(HEAP_LINES)),
            "",
        ]
    )
