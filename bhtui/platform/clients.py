"""How the reference services ask each other: channels with the caller's trace id, tokens, and the check of a token."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc

from bhtui.rpc.blackhole.service.v1 import identity_pb2, identity_pb2_grpc

from .contract import Context, Service
from .contract.caches import Cache
from .contract.observe import TRACE_HEADER, trace_id

DEADLINE = 5.0
"""Seconds a call to another service may take."""
TOKEN_GOOD_FOR = 30.0
"""Seconds for which a token that was checked is not checked again; a revoked one is good for as long."""


def channel(address: str) -> grpc.aio.Channel:
    """To a service that may come up later, or come back; it is tried again at least once a second."""
    return grpc.aio.insecure_channel(
        address, options=[("grpc.max_reconnect_backoff_ms", 1000), ("grpc.use_local_subchannel_pool", 1)]
    )


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call: who calls, and for which request."""
    trace = trace_id.get()
    return (("authorization", f"Bearer {token}"), *(((TRACE_HEADER, trace),) if trace else ()))


def token_of(context: Context) -> str:
    """The token of the call, or nothing."""
    metadata: dict[str, Any] = dict(context.invocation_metadata() or ())
    return str(metadata.get("authorization", "")).removeprefix("Bearer ")


def own_token(file: Path | None) -> str:
    """The service's own token. Raises OSError naming the file when it is not there."""
    if file is None:
        raise OSError("cannot call other services: there is no --token-file")
    return file.read_text().strip()


class Guard:
    """Knows who calls, by asking identity; what it was told it remembers for a while."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.cache: Cache[str, str] = Cache(service.tuning.get("token_cache", int, 1000))
        service.caches["tokens"] = self.cache
        self.channel = channel(service.options.needs["identity"])
        self.identity = identity_pb2_grpc.IdentityStub(self.channel)

    async def caller(self, context: Context) -> str:
        """The name of the caller's account. Aborts with UNAUTHENTICATED, or UNAVAILABLE when identity is away."""
        token = token_of(context)
        if known := self.cache.get(token, time.monotonic()):
            return known
        try:
            account = await self.identity.CheckToken(
                identity_pb2.CheckTokenRequest(token=token), timeout=DEADLINE, metadata=bearer(token)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.details() or "this token is not valid")
            self.service.trouble("identity", f"cannot check tokens: {error.code().name}")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cannot check the token: identity does not answer")
        self.service.fine("identity")
        self.cache.put(token, account.name, time.monotonic() + TOKEN_GOOD_FOR)
        return account.name

    async def close(self) -> None:
        """Ends the connection."""
        await self.channel.close()
