"""Faults on request: what a service does wrong is its own doing, so its supervisor is tried with the real thing."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Coroutine
from typing import Any

import grpc

from bhtui.rpc.blackhole.service.v1 import faults_pb2, faults_pb2_grpc

from .log import Log

Kind = faults_pb2.InjectRequest
ANSWER_FIRST = 0.05
"""Seconds between the answer to Inject and a fault that would prevent it."""
TICK = 0.05


class FaultState:
    """The faults that are on now."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.delay = 0.0
        self.errors = False
        self.sick = False
        self._hoard: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def before(self, own: bool, context: Any) -> None:
        """Delays a request, or fails it, when that was asked for; only the service's own requests are failed."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if own and self.errors:
            await context.abort(grpc.StatusCode.INTERNAL, "this fault was asked for")

    def clear(self) -> None:
        """Ends what can be ended and gives back what was leaked."""
        self.delay, self.errors, self.sick = 0.0, False, False
        self._hoard.clear()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Clears, and waits for what was under way."""
        self.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def inject(self, request: faults_pb2.InjectRequest) -> str:
        """Begins the fault; what it is, in words. Raises ValueError."""
        loop, amount, seconds = asyncio.get_running_loop(), request.amount, request.seconds
        match request.kind:
            case Kind.CRASH:
                loop.call_later(ANSWER_FIRST, _crash)
                return "ends by SIGSEGV"
            case Kind.EXIT:
                loop.call_later(ANSWER_FIRST, os._exit, amount & 0xFF)
                return f"exits with {amount & 0xFF}"
            case Kind.HANG:
                loop.call_later(ANSWER_FIRST, time.sleep, seconds or 86400.0)
                return "stops answering"
            case Kind.LEAK:
                self._begin(self._leak(amount or 1 << 20))
                said = f"keeps {amount or 1 << 20} more bytes a second"
            case Kind.SLOW:
                self.delay = (amount or 1000) / 1000
                said = f"every request takes {amount or 1000} ms longer"
            case Kind.NOISE:
                self._begin(self._noise(amount or 1000))
                said = f"logs {amount or 1000} lines a second"
            case Kind.ERRORS:
                self.errors = True
                said = "every request fails"
            case Kind.SICK:
                self.sick = True
                said = "health is UNHEALTHY"
            case _:
                raise ValueError("there is no such fault")
        if seconds:
            loop.call_later(seconds, self.clear)
        return said

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _leak(self, bytes_a_second: int) -> None:
        while True:
            self._hoard.append(b"x" * max(1, int(bytes_a_second * TICK)))
            await asyncio.sleep(TICK)

    async def _noise(self, lines_a_second: int) -> None:
        start, written = time.monotonic(), 0
        while True:
            for _ in range(int((time.monotonic() - start) * lines_a_second) - written):
                written += 1
                self.log.info("noise", number=written)
            await asyncio.sleep(TICK)


def _crash() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.kill(os.getpid(), signal.SIGSEGV)


class FaultService(faults_pb2_grpc.FaultsServicer):
    """The Faults API; served only where the environment says BLACKHOLE_FAULTS=1."""

    def __init__(self, state: FaultState) -> None:
        self.state = state

    async def Inject(
        self, request: faults_pb2.InjectRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> faults_pb2.InjectResponse:
        try:
            said = self.state.inject(request)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        self.state.log.warn("fault begins", detail=said)
        return faults_pb2.InjectResponse(detail=said)

    async def Clear(
        self, request: faults_pb2.ClearFaultsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> faults_pb2.ClearFaultsResponse:
        self.state.clear()
        self.state.log.info("faults end")
        return faults_pb2.ClearFaultsResponse()
