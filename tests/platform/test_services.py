"""The five services do what their protos say, together."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from bhtui.platform.load import run
from bhtui.rpc.blackhole.service.v1 import (
    contract_pb2,
    contract_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    indexer_pb2,
    indexer_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    storage_pb2,
    storage_pb2_grpc,
)
from tests.ports import free_port
from tests.waiting import eventually

from .services import Platform, platform

Bearer = tuple[tuple[str, str], ...]


async def test_identity_knows_passwords_and_tokens(five: Platform) -> None:
    async with grpc.aio.insecure_channel(five.services["identity"].address) as channel:
        stub = identity_pb2_grpc.IdentityStub(channel)
        account = await stub.Register(identity_pb2.RegisterRequest(name="ada", password="correct horse"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Register(identity_pb2.RegisterRequest(name="ada", password="another horse"))
        assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
        for name, password in (("ada", "wrong horse"), ("bob", "correct horse")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Authenticate(identity_pb2.AuthenticateRequest(name=name, password=password))
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        token = (await stub.Authenticate(identity_pb2.AuthenticateRequest(name="ada", password="correct horse"))).token
        check = identity_pb2.CheckTokenRequest(token=token)
        assert (await stub.CheckToken(check)).id == account.id
        await stub.Revoke(check)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CheckToken(check)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_neither_passwords_nor_tokens_are_kept(five: Platform, bearer: Bearer) -> None:
    folder = five.folder / "identity"
    stored = b"".join(path.read_bytes() for path in folder.glob("identity.db*"))
    assert b"long enough" not in stored
    assert bearer[0][1].removeprefix("Bearer ").encode() not in stored
    assert (folder / "service.token").stat().st_mode & 0o777 == 0o600


async def test_storage_wants_a_token(five: Platform) -> None:
    async with grpc.aio.insecure_channel(five.services["storage"].address) as channel:
        stub = storage_pb2_grpc.StorageStub(channel)
        for metadata in ((), (("authorization", "Bearer nonsense"),)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Get(storage_pb2.GetRequest(name="x"), metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_blob_is_stored_recorded_found_and_deleted(five: Platform, bearer: Bearer) -> None:
    services = five.services
    async with (
        grpc.aio.insecure_channel(services["storage"].address) as to_storage,
        grpc.aio.insecure_channel(services["ledger"].address) as to_ledger,
        grpc.aio.insecure_channel(services["indexer"].address) as to_indexer,
    ):
        storage = storage_pb2_grpc.StorageStub(to_storage)
        ledger = ledger_pb2_grpc.LedgerStub(to_ledger)
        indexer = indexer_pb2_grpc.IndexerStub(to_indexer)
        data = b"a zebra crosses the savannah " * 50
        info = await storage.Put(storage_pb2.PutRequest(name="notes/zebra", data=data), metadata=bearer)
        assert (info.digest, info.owner) == (hashlib.sha256(data).hexdigest(), "tester")
        got = await storage.Get(storage_pb2.GetRequest(name="notes/zebra"), metadata=bearer)
        assert got.data == data
        listed = await storage.List(storage_pb2.ListRequest(prefix="notes/"), metadata=bearer)
        assert [blob.name for blob in listed.blobs] == ["notes/zebra"]

        async def recorded() -> bool:
            entries = (await ledger.Read(ledger_pb2.ReadRequest(limit=1000), metadata=bearer)).entries
            return any(json.loads(e.data).get("name") == "notes/zebra" for e in entries if e.kind == "storage.put")

        async def found() -> list[indexer_pb2.Hit]:
            query = indexer_pb2.SearchRequest(query="zebra AND savannah")
            return list((await indexer.Search(query, metadata=bearer)).hits)

        await eventually(recorded)
        assert "[zebra]" in (await eventually(found))[0].snippet
        await storage.Delete(storage_pb2.GetRequest(name="notes/zebra"), metadata=bearer)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await storage.Get(storage_pb2.GetRequest(name="notes/zebra"), metadata=bearer)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

        async def gone() -> bool:
            return not await found()

        await eventually(gone)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await indexer.Search(indexer_pb2.SearchRequest(query='"'), metadata=bearer)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_peers_announce_themselves_and_the_roster_is_a_blob(five: Platform, bearer: Bearer) -> None:
    async with (
        grpc.aio.insecure_channel(five.services["node"].address) as to_node,
        grpc.aio.insecure_channel(five.services["storage"].address) as to_storage,
    ):
        node, storage = node_pb2_grpc.NodeStub(to_node), storage_pb2_grpc.StorageStub(to_storage)
        await node.Announce(node_pb2.AnnounceRequest(name="me", address="10.0.0.1:1"), metadata=bearer)
        peers = (await node.Peers(node_pb2.PeersRequest(), metadata=bearer)).peers
        assert {"me", "node"} <= {peer.name for peer in peers}

        async def published() -> bool:
            blob = await storage.Get(storage_pb2.GetRequest(name="node/roster"), metadata=bearer)
            return "me 10.0.0.1:1" in json.loads(blob.data)

        await eventually(published)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await node.Announce(node_pb2.AnnounceRequest(name="node", address="evil:1"), metadata=bearer)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        await node.Leave(node_pb2.LeaveRequest(name="me"), metadata=bearer)
        peers = (await node.Peers(node_pb2.PeersRequest(), metadata=bearer)).peers
        assert "me" not in {peer.name for peer in peers}


async def test_load_makes_all_five_work(five: Platform) -> None:
    report = await run(five.targets, rate=100, duration=1.5, seed=1)
    assert report.failed == 0, "\n".join(report.lines())
    assert {name.partition(".")[0] for name in report.counts} == set(five.targets)
    assert f"{report.done} done, 0 failed" in report.lines()[-1]


def test_load_from_the_command_line(five: Platform) -> None:
    def load(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "bhtui.platform.load", *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    targets = [word for name, address in five.targets.items() for word in ("--target", f"{name}={address}")]
    done = load(*targets, "--rate", "50", "--duration", "1.2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed, " in done.stdout
    fault = load(*targets, "--fault", "slow", "--service", "node", "--amount", "1", "--seconds", "0.1")
    assert (fault.returncode, fault.stdout) == (0, "node: every request takes 1 ms longer\n")
    assert load("--fault", "slow").returncode == 2
    away = load("--base-port", str(free_port()), "--duration", "1")
    assert away.returncode == 1
    assert away.stderr.startswith("cannot reach the services") and away.stderr.count("\n") == 1


async def test_a_changed_ledger_entry_is_noticed(tmp_path: Path) -> None:
    with platform(tmp_path, "identity", "storage", "ledger") as made:
        ledger = made.services["ledger"]
        async with grpc.aio.insecure_channel(ledger.address) as channel:
            token = (tmp_path / "identity" / "service.token").read_text()
            stub, contract = ledger_pb2_grpc.LedgerStub(channel), contract_pb2_grpc.ContractStub(channel)
            for number in range(3):
                request = ledger_pb2.AppendRequest(kind="test", data=str(number).encode())
                entry = await stub.Append(request, metadata=(("authorization", f"Bearer {token}"),))
            assert entry.number == 3
            assert not (await contract.Verify(contract_pb2.VerifyRequest(full=True))).problems
            with sqlite3.connect(tmp_path / "ledger" / "ledger.db") as other:
                other.execute("UPDATE entries SET data = 'x' WHERE number = 2")
            other.close()
            problems = (await contract.Verify(contract_pb2.VerifyRequest(full=True))).problems
            assert problems == ["entry 2 is not what was written"]


async def test_storage_is_degraded_while_identity_is_away(tmp_path: Path) -> None:
    with platform(tmp_path, "identity", "storage") as made:
        made.services["identity"].end()
        async with grpc.aio.insecure_channel(made.services["storage"].address) as channel:
            storage, contract = storage_pb2_grpc.StorageStub(channel), contract_pb2_grpc.ContractStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await storage.Get(storage_pb2.GetRequest(name="x"), metadata=(("authorization", "Bearer x"),))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            health = await contract.Health(contract_pb2.HealthRequest())
            assert health.status == contract_pb2.HealthResponse.DEGRADED
            assert "identity" in health.detail
