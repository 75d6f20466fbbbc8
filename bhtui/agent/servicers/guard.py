"""What stands around every method: the caller's role, the translation of errors, the measuring of time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc.aio import ServicerContext

from bhtui.core.errors import BlackholeError, Refused
from bhtui.rpc import errors

from .access import ACCESS, role_of

log = logging.getLogger(__name__)

Observe = Callable[[str, str, str, float], None]
"""Told service, method, status and seconds of every call that ended."""
Context = ServicerContext[Any, Any]


class Guard(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all servicers, so that those hold nothing but their own few lines."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        metadata = dict(handler_call_details.invocation_metadata or ())
        call = _Call(method, method in ACCESS and role_of(metadata) >= ACCESS[method], self._observe)
        codec = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(call.stream(handler.unary_stream), *codec)
        return grpc.unary_unary_rpc_method_handler(call.unary(handler.unary_unary), *codec)


class _Call:
    """One call under way."""

    def __init__(self, method: str, allowed: bool, observe: Observe) -> None:
        _, self.service, self.name = method.split("/")
        self.allowed = allowed
        self.observe = observe

    def unary(self, inner: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
        async def run(request: Any, context: Context) -> Any:
            async with self._guarded(context):
                return await inner(request, context)

        return run

    def stream(
        self, inner: Callable[[Any, Context], AsyncIterator[Any]]
    ) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def run(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._guarded(context):
                async for answer in inner(request, context):
                    yield answer

        return run

    @asynccontextmanager
    async def _guarded(self, context: Context) -> AsyncIterator[None]:
        """What stands around the call: the right to make it before, the error or the time it took after."""
        begun, status = time.monotonic(), "OK"
        try:
            if not self.allowed:
                raise Refused(
                    f"cannot call {self.service}.{self.name}: this connection is read-only; connect without --read-only"
                )
            yield
        except asyncio.CancelledError:  # the client has gone
            status = "CANCELLED"
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes an answer; _refuse logs the unexpected
            status = errors.to_status(error)[0].name
            await self._refuse(error, context)
        finally:
            self.observe(self.service, self.name, status, time.monotonic() - begun)

    async def _refuse(self, error: Exception, context: Context) -> None:
        if not isinstance(error, (BlackholeError, grpc.aio.AbortError)):
            log.error("%s.%s failed", self.service, self.name, exc_info=error)
        await errors.abort(context, error)
