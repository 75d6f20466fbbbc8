"""What a service gets from the library, asked of a real one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import urllib.request
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from bhtui.platform.load import inject
from bhtui.rpc.blackhole.service.v1 import contract_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import (
    contract_pb2_grpc,
    faults_pb2,
    faults_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
)
from tests.waiting import eventually, until

from .services import Platform, Running


async def test_health_by_the_contract_and_by_the_standard(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        said = await contract_pb2_grpc.ContractStub(channel).Health(pb.HealthRequest())
        assert said.status == pb.HealthResponse.HEALTHY
        assert said.uptime_seconds > 0
        assert said.metrics["database_bytes"] > 0
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "blackhole.service.v1.Identity"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await inject(alone.address, "sick")
        answer = await asyncio.wait_for(watch.read(), 60)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


def test_reflection_tells_what_is_offered(five: Platform) -> None:
    with grpc.insecure_channel(five.services["storage"].address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {"blackhole.service.v1.Storage", "blackhole.service.v1.Contract"} <= set(database.get_services())
        methods = DescriptorPool(database).FindServiceByName("blackhole.service.v1.Contract").methods_by_name
        assert "PrepareBackup" in methods
        with pytest.raises(KeyError):
            database.FindFileContainingSymbol("no.Such")


async def test_metrics_for_prometheus(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await identity_pb2_grpc.IdentityStub(channel).CheckToken(identity_pb2.CheckTokenRequest(token="x"))

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{alone.metrics_port}/metrics", timeout=60) as answer:
            return answer.read().decode()

    labels = 'method="CheckToken",service="identity",status="UNAUTHENTICATED"'
    counted = f"grpc_request_duration_seconds_count{{{labels}}} 1.0"

    async def is_counted() -> bool:  # just after the answer has gone out
        return counted in await asyncio.to_thread(read)

    await eventually(is_counted, what=counted)
    reader, writer = await asyncio.open_connection("127.0.0.1", alone.metrics_port)
    writer.write(b"POST /x HTTP/1.1\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 404")
    writer.close()


async def test_caches_garbage_and_stacks(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub = contract_pb2_grpc.ContractStub(channel)
        token = (alone.log_file.parent / "identity" / "service.token").read_text()
        await identity_pb2_grpc.IdentityStub(channel).CheckToken(identity_pb2.CheckTokenRequest(token=token))
        cleared = (await stub.ClearCaches(pb.ClearCachesRequest())).cleared
        assert [(each.name, each.entries) for each in cleared] == [("tokens", 1)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ClearCaches(pb.ClearCachesRequest(names=["none"]))
        assert "there is: tokens" in (caught.value.details() or "")
        assert (await stub.CollectGarbage(pb.CollectGarbageRequest())).bytes_after > 1 << 20
        stacks = (await stub.Stacks(pb.StacksRequest())).stacks
        assert {stack.kind for stack in stacks} == {"thread", "task"}
        assert any("run_forever" in frame for stack in stacks for frame in stack.frames)


async def test_a_heap_dump_names_the_line_that_keeps_memory(alone: Running) -> None:
    await inject(alone.address, "leak", amount=10 << 20)
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub = contract_pb2_grpc.ContractStub(channel)
        chunks = [chunk async for chunk in stub.HeapDump(pb.HeapDumpRequest(duration_seconds=0.5))]
    assert chunks[0].format == "text/tracemalloc"
    lines = b"".join(chunk.data for chunk in chunks).decode().splitlines()
    assert "contract/faults.py" in lines[2]


async def test_a_trace_shows_the_requests_that_fit(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub, identity = contract_pb2_grpc.ContractStub(channel), identity_pb2_grpc.IdentityStub(channel)
        trace = stub.Trace(pb.TraceRequest(duration_seconds=10, filter="method=CheckToken,status~AUTH"))

        async def asked() -> pb.Span | None:
            with pytest.raises(grpc.aio.AioRpcError):
                request = identity_pb2.CheckTokenRequest(token="x")
                await identity.CheckToken(request, metadata=(("x-trace-id", "t1"),))
            await stub.Health(pb.HealthRequest())
            try:
                return await asyncio.wait_for(asyncio.shield(first), 0.2)
            except TimeoutError:
                return None

        first = asyncio.ensure_future(trace.read())
        span = await eventually(asked)
        assert (span.method, span.status, span.trace_id) == ("CheckToken", "UNAUTHENTICATED", "t1")
        trace.cancel()
        ended = [span async for span in stub.Trace(pb.TraceRequest(duration_seconds=0.1))]
        assert all(span.method for span in ended)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Trace(pb.TraceRequest(filter="colour=red")).read()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_upkeep_of_the_database(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub = contract_pb2_grpc.ContractStub(channel)
        for method in (stub.Compact, stub.Vacuum, stub.RebuildIndexes, stub.Analyze):
            done = await method(pb.DatabaseRequest())
            assert done.bytes_after > 0
            assert done.detail
        queries = (await stub.SlowQueries(pb.SlowQueriesRequest(limit=3, reset=True))).queries
        assert 1 <= len(queries) <= 3
        assert queries[0].maximum_seconds >= queries[-1].maximum_seconds > 0
        assert not (await stub.SlowQueries(pb.SlowQueriesRequest())).queries
        verified = await stub.Verify(pb.VerifyRequest(full=True))
        assert not verified.problems
        assert not (await stub.Repair(pb.RepairRequest())).actions


async def test_a_search_index_is_verified_and_repaired(five: Platform) -> None:
    indexer = five.services["indexer"]
    async with grpc.aio.insecure_channel(indexer.address) as channel:
        stub = contract_pb2_grpc.ContractStub(channel)
        with sqlite3.connect(five.folder / "indexer" / "indexer.db") as other:
            other.execute("DROP TRIGGER documents_in")
            other.execute("INSERT INTO documents(name, body) VALUES ('lost', 'words')")
            other.execute(
                """CREATE TRIGGER documents_in AFTER INSERT ON documents BEGIN
                   INSERT INTO words(rowid, name, body) VALUES (new.id, new.name, new.body); END"""
            )
        other.close()
        assert "does not fit" in (await stub.Verify(pb.VerifyRequest(full=True))).problems[0]
        planned = await stub.Repair(pb.RepairRequest(dry_run=True))
        assert planned.actions and planned.left
        done = await stub.Repair(pb.RepairRequest())
        assert "built the index of words anew" in done.actions
        assert not done.left


async def test_a_backup_copy_is_whole_and_goes_away(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub = contract_pb2_grpc.ContractStub(channel)
        prepared = await stub.PrepareBackup(pb.PrepareBackupRequest(id="b1"))
        copy = Path(prepared.files[0].copy)
        assert prepared.files[0].path.endswith("identity.db")
        assert all(path.endswith(("-wal", "-shm")) for path in prepared.skip)
        connection = sqlite3.connect(copy)
        assert connection.execute("SELECT name FROM accounts").fetchall() == [("platform",)]
        connection.close()
        assert copy.stat().st_mode & 0o777 == 0o600
        for _ in range(2):
            await stub.FinishBackup(pb.FinishBackupRequest(id="b1"))
        assert not copy.exists()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.PrepareBackup(pb.PrepareBackupRequest(id="../x"))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_settings_are_read_again(tmp_path: Path) -> None:
    settings, made = tmp_path / "settings.json", Platform(tmp_path)
    running = made.start("identity", {"BLACKHOLE_TUNING_TOKEN_LIFE": "1h"}, "--settings", str(settings))
    try:
        async with grpc.aio.insecure_channel(running.address) as channel:
            stub = contract_pb2_grpc.ContractStub(channel)
            settings.write_text('{"token_life": "5m", "log_level": "debug"}')
            assert (await stub.Reload(pb.ReloadRequest())).changed == ["log_level", "token_life"]
            settings.write_text('{"token_life": "soon"}')
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Reload(pb.ReloadRequest())
            assert "nothing was changed" in (caught.value.details() or "")
            settings.write_text("{}")
            running.process.send_signal(signal.SIGHUP)
            await eventually(lambda: len(running.said("settings read again")) == 2)
    finally:
        assert running.end() == 0


async def test_stopping_lets_requests_end(tmp_path: Path) -> None:
    running = Platform(tmp_path).start("identity")
    await inject(running.address, "slow", amount=700)
    async with grpc.aio.insecure_channel(running.address) as channel:
        faults = faults_pb2_grpc.FaultsStub(channel)
        call = contract_pb2_grpc.ContractStub(channel).Health(pb.HealthRequest())
        await call.wait_for_connection()
        await faults.Clear(faults_pb2.ClearFaultsRequest())  # answered, so the request before it has arrived too
        running.process.send_signal(signal.SIGTERM)
        assert (await call).version
    assert running.end() == 0
    assert [line["msg"] for line in running.lines()][-2:] == ["stopping", "stopped"]


def test_logs_are_json_lines(alone: Running) -> None:
    line = alone.said("ready")[0]
    assert list(line)[:3] == ["level", "ts", "msg"]
    assert line["service"] == "identity"


@pytest.mark.parametrize(("kind", "amount", "code"), [("crash", 0, -signal.SIGSEGV), ("exit", 7, 7)])
async def test_faults_that_end_it(alone: Running, kind: str, amount: int, code: int) -> None:
    await inject(alone.address, kind, amount)
    assert await asyncio.to_thread(alone.process.wait, 10) == code


async def test_a_hang_is_ended_by_a_kill_alone(alone: Running) -> None:
    await inject(alone.address, "hang")
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub = contract_pb2_grpc.ContractStub(channel)

        async def hangs() -> bool:
            try:
                await stub.Health(pb.HealthRequest(), timeout=0.5)
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return False

        await eventually(hangs)
    os.kill(alone.process.pid, signal.SIGKILL)


async def test_faults_that_pass(alone: Running) -> None:
    async with grpc.aio.insecure_channel(alone.address) as channel:
        stub, identity = contract_pb2_grpc.ContractStub(channel), identity_pb2_grpc.IdentityStub(channel)
        await inject(alone.address, "errors")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await identity.CheckToken(identity_pb2.CheckTokenRequest(token="x"))
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        await inject(alone.address, "sick")
        assert (await stub.Health(pb.HealthRequest())).status == pb.HealthResponse.UNHEALTHY
        await inject(alone.address, "noise", amount=2000)
        await eventually(lambda: len(alone.said("noise")) > 100)
        numbers = [line["number"] for line in alone.said("noise")]
        assert numbers == list(range(1, len(numbers) + 1))
        await inject(alone.address, "clear")
        assert (await stub.Health(pb.HealthRequest())).status == pb.HealthResponse.HEALTHY


async def test_faults_are_not_served_unasked(tmp_path: Path) -> None:
    running = Platform(tmp_path).start("identity", {"BLACKHOLE_FAULTS": "0"})
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await inject(running.address, "crash")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        running.end()


def test_what_keeps_it_from_starting_is_said_in_one_line(alone: Running, tmp_path: Path) -> None:
    second = Platform(tmp_path / "second")
    second.folder.mkdir()
    failed = second.launch("identity", None, "--port", str(alone.port))
    assert until(failed.process.poll) == 1
    line = json.loads(failed.log_file.read_text().splitlines()[-1])
    assert line["msg"] == "cannot start"
    assert f"127.0.0.1:{alone.port}" in line["error"]
