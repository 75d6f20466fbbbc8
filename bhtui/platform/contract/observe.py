"""An eye on every request: its duration for Prometheus, a span for those who trace, the faults that were asked for."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from bhtui.rpc.blackhole.service.v1 import contract_pb2

from .faults import FaultState
from .log import Log

TRACE_HEADER = "x-trace-id"
MAXIMUM_WAITING_SPANS = 1000
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""Of the request being answered; handed on to the services it asks."""


class Filter:
    """`method=Put,status~ERR`: every condition must hold."""

    KEYS = ("method", "status", "peer")

    def __init__(self, text: str) -> None:
        """Raises ValueError with what is wrong."""
        self.conditions = [self._condition(part.strip()) for part in text.split(",") if part.strip()]

    def _condition(self, part: str) -> tuple[str, bool, str]:
        for sign in ("=", "~"):
            key, found, value = part.partition(sign)
            if found and key in self.KEYS:
                return key, sign == "=", value
        raise ValueError(f"{part!r} is not a condition; write key=value or key~part with one of {', '.join(self.KEYS)}")

    def matches(self, span: contract_pb2.Span) -> bool:
        return all(
            value == getattr(span, key) if exact else value in getattr(span, key)
            for key, exact, value in self.conditions
        )


class Tracer:
    """Hands every span to those who are tracing now; one who reads too slowly is told how many it missed."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()

    def publish(self, span: contract_pb2.Span) -> None:
        for reader in self._readers:
            reader.offer(span)

    async def follow(self, seconds: float, wanted: Filter, minimum: float) -> AsyncIterator[contract_pb2.Span]:
        """The spans that end within the next seconds."""
        reader = _Reader(wanted, minimum)
        self._readers.add(reader)
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                yield await asyncio.wait_for(reader.queue.get(), left)
        except TimeoutError:
            return
        finally:
            self._readers.discard(reader)


class _Reader:
    def __init__(self, wanted: Filter, minimum: float) -> None:
        self.wanted = wanted
        self.minimum = minimum
        self.queue: asyncio.Queue[contract_pb2.Span] = asyncio.Queue(MAXIMUM_WAITING_SPANS)
        self.dropped = 0

    def offer(self, span: contract_pb2.Span) -> None:
        if span.duration_seconds < self.minimum or not self.wanted.matches(span):
            return
        if self.queue.full():
            self.dropped += 1
            return
        own = contract_pb2.Span()
        own.CopyFrom(span)
        own.dropped_before, self.dropped = self.dropped, 0
        self.queue.put_nowait(own)


class Observer(grpc.aio.ServerInterceptor):
    """The interceptor. Requests of other packages than ours (health, reflection) are only delayed by faults."""

    def __init__(self, service: str, registry: CollectorRegistry, tracer: Tracer, faults: FaultState, log: Log) -> None:
        self.service = service
        self.tracer = tracer
        self.faults = faults
        self.log = log
        self.total = 0
        self.failed = 0
        self.durations = Histogram(
            "grpc_request_duration_seconds",
            "Duration of gRPC requests",
            ["service", "method", "status"],
            registry=registry,
        )
        self.errors = Counter(
            "errors", "Requests that failed by the service's own fault", ["service"], registry=registry
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        package, method = str(handler_call_details.method).lstrip("/").split("/", 1)
        if handler is None or handler.request_streaming:
            return handler
        make = (
            (grpc.unary_stream_rpc_method_handler, self._stream(handler.unary_stream, package, method))
            if handler.response_streaming
            else (grpc.unary_unary_rpc_method_handler, self._unary(handler.unary_unary, package, method))
        )
        return make[0](make[1], handler.request_deserializer, handler.response_serializer)

    def _unary(self, inner: Any, package: str, method: str) -> Any:
        async def call(request: Any, context: Any) -> Any:
            async with self._watched(package, method, context):
                return await inner(request, context)

        return call

    def _stream(self, inner: Any, package: str, method: str) -> Any:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._watched(package, method, context):
                async for answer in inner(request, context):
                    yield answer

        return call

    @asynccontextmanager
    async def _watched(self, package: str, method: str, context: Any) -> AsyncIterator[None]:
        metadata = dict(context.invocation_metadata() or ())
        trace_id.set(str(metadata.get(TRACE_HEADER) or uuid.uuid4().hex))
        start_ns, start = time.time_ns(), time.perf_counter()
        own = package.startswith("blackhole.") and not package.endswith((".Contract", ".Faults"))
        status = "OK"
        try:
            if not package.endswith(".Faults"):
                await self.faults.before(own, context)
            yield
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        except grpc.aio.AbortError:
            status = context.code().name if context.code() else "UNKNOWN"
            raise
        except Exception as error:  # noqa: BLE001 - whatever a request ran into must not reach the caller raw
            status = "INTERNAL"
            self.log.error("request failed", method=method, error=f"{type(error).__name__}: {error}")
            await context.abort(grpc.StatusCode.INTERNAL, f"cannot answer {method}: {type(error).__name__}")
        finally:
            if package.startswith("blackhole."):
                self._note(method, status, start_ns, time.perf_counter() - start, context)

    def _note(self, method: str, status: str, start_ns: int, seconds: float, context: Any) -> None:
        self.total += 1
        if status in ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"):
            self.failed += 1
            self.errors.labels(self.service).inc()
        self.durations.labels(self.service, method, status).observe(seconds)
        span = contract_pb2.Span(
            method=method,
            status=status,
            start_ns=start_ns,
            duration_seconds=seconds,
            peer=context.peer(),
            trace_id=trace_id.get(),
        )
        self.tracer.publish(span)
