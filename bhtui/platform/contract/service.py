"""A managed service: what it consists of, how it starts, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import grpc
from prometheus_client import CollectorRegistry, Gauge

from bhtui import __version__
from bhtui.rpc.blackhole.service.v1 import contract_pb2, contract_pb2_grpc, faults_pb2_grpc

from . import options
from .caches import Cache
from .database import Connection, Database
from .faults import FaultService, FaultState
from .health import HealthService
from .log import Log
from .metrics import MetricsEndpoint
from .observe import Observer, Tracer
from .reflection import ReflectionService
from .servicer import ContractService

Context = grpc.aio.ServicerContext[Any, Any]
FIRST_RETRY, LAST_RETRY = 0.1, 5.0


class Service:
    """Derive from it, set `name`, `needs` and `schema`, override the hooks; `serve` does the rest."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """Names of the services it asks; each becomes an option with an address."""
    schema: ClassVar[str] = ""
    """SQL that makes what is not there yet."""

    def __init__(self, given: options.Options) -> None:
        """Makes its folder and opens its database. Raises OSError, sqlite3.Error or ValueError."""
        self.options = given
        self.tuning = given.tuning
        self.log = Log(service=self.name, level=self.tuning.get("log_level", str, "info"))
        given.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.database = Database(given.data / f"{self.name}.db", self.schema)
        self.caches: dict[str, Cache[Any, Any]] = {}
        self.troubles: dict[str, str] = {}
        """What is not as it should be, by what it is about; DEGRADED while there is any."""
        self.registry = CollectorRegistry()
        self.tracer = Tracer()
        self.faults = FaultState(self.log)
        self.observer = Observer(self.name, self.registry, self.tracer, self.faults, self.log)
        self.started = time.monotonic()
        self.serving = False
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._names: set[str] = set()
        self._gauges()

    # Hooks

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service's own API to the server."""

    async def start(self) -> None:
        """What must be done before the first request."""

    async def drain(self) -> None:
        """Ends the requests that only wait for something to happen; the others are waited for."""

    async def stop(self) -> None:
        """What must be done after the last request."""

    def purge(self, connection: Connection) -> int:
        """Deletes what nobody needs any more; how many rows."""
        return 0

    def rebuild(self, connection: Connection) -> str:
        """Builds derived tables anew; what, in words."""
        return "all indexes"

    def verify(self, connection: Connection, full: bool) -> tuple[list[str], int]:
        """Checks what the data mean; problems and the number of things looked at."""
        return [], 0

    def repairs(self) -> list[str]:
        """What `repair` would do."""
        return []

    def repair(self, connection: Connection) -> list[str]:
        """Puts right what `verify` finds; what was done."""
        return []

    def counts(self) -> dict[str, float]:
        """The service's own figures for its health."""
        return {}

    # What the contract asks

    def health(self) -> contract_pb2.HealthResponse:
        """From memory, without waiting for anything."""
        state = contract_pb2.HealthResponse
        sick = self.faults.sick or not self.serving
        detail = "; ".join(f"{about}: {trouble}" for about, trouble in sorted(self.troubles.items()))
        return state(
            status=state.UNHEALTHY if sick else state.DEGRADED if detail else state.HEALTHY,
            uptime_seconds=time.monotonic() - self.started,
            metrics={
                "requests_total": self.observer.total,
                "requests_failed": self.observer.failed,
                "database_bytes": self.database.size(),
                **{f"cache_{name}_entries": float(len(cache)) for name, cache in self.caches.items()},
                **self.counts(),
            },
            detail="this fault was asked for" if self.faults.sick else detail,
            version=__version__,
        )

    def reload(self) -> list[str]:
        """Reads the settings again; the keys that changed. Raises ValueError or OSError and changes nothing."""
        before = dict(self.tuning.values)
        changed = self.tuning.reload()
        try:
            self.apply()
        except ValueError:
            self.tuning.values = before
            self.apply()
            raise
        self.log.info("settings read again", changed=changed)
        return changed

    def apply(self) -> None:
        """Takes over settings that may change while running. Raises ValueError."""
        self.log.set_level(self.tuning.get("log_level", str, "info"))

    def trouble(self, about: str, said: str) -> None:
        """Is DEGRADED by this until `fine`."""
        if self.troubles.get(about) != said:
            self.log.warn("something is wrong", about=about, error=said)
        self.troubles[about] = said

    def fine(self, about: str) -> None:
        """Is not DEGRADED by this any longer."""
        if self.troubles.pop(about, None):
            self.log.info("all is well again", about=about)

    def background(self, work: Callable[[], Coroutine[Any, Any, None]], about: str) -> None:
        """Runs it until the service stops; when it fails, waits and runs it again, and is DEGRADED meanwhile."""
        task = asyncio.create_task(self._again(work, about), name=about)
        self._tasks.add(task)

    async def _again(self, work: Callable[[], Coroutine[Any, Any, None]], about: str) -> None:
        delay = FIRST_RETRY
        while True:
            began = time.monotonic()
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - told by log and health, and tried again
                said = (
                    error.details() if isinstance(error, grpc.aio.AioRpcError) else f"{type(error).__name__}: {error}"
                )
                self.trouble(about, said or type(error).__name__)
            delay = FIRST_RETRY if time.monotonic() - began > LAST_RETRY else min(delay * 2, LAST_RETRY)
            await asyncio.sleep(delay)

    def _gauges(self) -> None:
        size = Gauge("database_bytes", "Size of the database", ["service"], registry=self.registry)
        size.labels(self.name).set_function(self.database.size)
        up = Gauge("service_uptime_seconds", "Time since the start", ["service"], registry=self.registry)
        up.labels(self.name).set_function(lambda: time.monotonic() - self.started)

    # Its life

    async def serve(self, ready: asyncio.Event | None = None, stop: asyncio.Event | None = None) -> None:
        """Answers requests until SIGTERM, SIGINT or `stop`. Raises OSError when it cannot listen."""
        self.apply()
        stop = stop or asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_by_signal)
        server = grpc.aio.server(interceptors=[self.observer], options=[("grpc.so_reuseport", 0)])
        self._add_services(server)
        metrics = MetricsEndpoint(self.registry)
        try:
            await self._listen(server)
            if self.options.metrics_port:
                await metrics.open(self.options.host, self.options.metrics_port)
            await self.start()
            await server.start()
            self.serving = True
            self.log.info("ready", port=self.port, seconds=round(time.monotonic() - self.started, 3))
            if ready:
                ready.set()
            await stop.wait()
            self.log.info("stopping", grace=self.options.grace)
        finally:
            self.serving = False
            await self.drain()
            await self.faults.close()
            await server.stop(self.options.grace)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.stop()
            await metrics.close()
            self.database.close()
            self.log.info("stopped", requests=self.observer.total)

    def _add_services(self, server: grpc.aio.Server) -> None:
        recorder = _Names(server, self._names)
        self.register(recorder)  # type: ignore[arg-type]
        contract_pb2_grpc.add_ContractServicer_to_server(ContractService(self), recorder)  # type: ignore[arg-type]
        if self.options.faults:
            faults_pb2_grpc.add_FaultsServicer_to_server(FaultService(self.faults), recorder)  # type: ignore[arg-type]
        health = HealthService(lambda: self.serving and not self.faults.sick, lambda: self._names)
        every = {*self._names, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}
        server.add_generic_rpc_handlers((health.handler(), *ReflectionService(lambda: every).handlers()))

    async def _listen(self, server: grpc.aio.Server) -> None:
        address = f"{self.options.host}:{self.options.port}"
        try:
            self.port = server.add_insecure_port(address)
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise OSError(f"cannot listen on {address}: it is in use or not an address of this host")

    def _reload_by_signal(self) -> None:
        try:
            self.reload()
        except (ValueError, OSError) as error:
            self.log.error("cannot reload; nothing was changed", error=str(error))


class _Names:
    """Stands before the server while services are added, and notes their names for reflection and health."""

    def __init__(self, server: grpc.aio.Server, names: set[str]) -> None:
        self._server = server
        self._noted = names

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.ServiceRpcHandler, ...]) -> None:
        self._noted |= {handler.service_name() for handler in handlers}
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
        self._server.add_registered_method_handlers(service_name, method_handlers)


def main(kind: type[Service]) -> None:
    """Runs the service with the options of the command line; exit code 1 and a log line when it cannot start."""
    given = options.read(kind.name, kind.needs, sys.argv[1:], os.environ)

    async def run() -> None:
        await kind(given).serve()

    try:
        asyncio.run(run())
    except (OSError, sqlite3.Error, ValueError) as error:
        Log(service=kind.name).error("cannot start", error=str(error), data=given.data)
        sys.exit(1)
