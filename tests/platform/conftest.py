"""All five services, once for the tests that leave them as they were; and one that a test may ruin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from bhtui.rpc.blackhole.service.v1 import identity_pb2, identity_pb2_grpc

from .services import Platform, Running, platform


@pytest.fixture(scope="package")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("five"), "identity", "storage", "ledger", "node", "indexer") as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Running]:
    with platform(tmp_path, "identity") as made:
        yield made.services["identity"]


@pytest.fixture
async def bearer(five: Platform) -> AsyncIterator[tuple[tuple[str, str], ...]]:
    """The metadata of someone who has signed in."""
    async with grpc.aio.insecure_channel(five.services["identity"].address) as channel:
        identity = identity_pb2_grpc.IdentityStub(channel)
        try:
            await identity.Register(identity_pb2.RegisterRequest(name="tester", password="long enough"), timeout=60)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        request = identity_pb2.AuthenticateRequest(name="tester", password="long enough")
        token = (await identity.Authenticate(request, timeout=60)).token
    yield (("authorization", f"Bearer {token}"),)
