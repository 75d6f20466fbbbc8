"""The typed client of an agent. Every call has a deadline or, where it follows, an end; errors are those of core."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from bhtui.core.errors import NoConnection

from . import errors, options
from .blackhole.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    backup_pb2,
    backup_pb2_grpc,
    config_pb2,
    config_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    logs_pb2,
    logs_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    metrics_pb2,
    metrics_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    overview_pb2,
    overview_pb2_grpc,
    resources_pb2,
    resources_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
)

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds that a call waits for its answer."""

LONG_TIMEOUT = 60.0
"""Of calls behind which services are probed, stopped or counted."""

REPOSITORY_TIMEOUT = 300.0
"""Of calls behind which a repository is read, which may be far away."""

STOP_TIMEOUT = 600.0
"""Of the call that stops all services, in their order, each with its own grace period."""

CLOSED = "cannot reach the agent: this connection was closed"


def this_actor() -> operations_pb2.Actor:
    """Who sits here: the login name (under sudo, the person's own) and the machine's name."""
    name = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"uid {os.getuid()}"
    return operations_pb2.Actor(name=name, origin=os.uname().nodename)


class AgentClient:
    """Calls to one agent through its Unix socket, its own or one that SSH forwards. Owned by one event loop.

    All methods raise the errors of core: NoConnection when the agent cannot be reached, NotFound, Refused, UsageError.
    Streams are async iterators; closing one (or cancelling its reader) ends the call. With `read_only` the agent itself
    refuses what would change anything.
    """

    def __init__(self, socket_path: Path | str, timeout: float = TIMEOUT, read_only: bool = False) -> None:
        self.socket_path = str(socket_path)
        self._timeout = timeout
        self._metadata = (("blackhole-role", "read"),) if read_only else ()
        self._channel = grpc.aio.insecure_channel(f"unix:{self.socket_path}", options=options.CLIENT)
        self._agent = agent_pb2_grpc.AgentStub(self._channel)
        self._backup = backup_pb2_grpc.BackupStub(self._channel)
        self._config = config_pb2_grpc.ConfigStub(self._channel)
        self._events = events_pb2_grpc.EventsStub(self._channel)
        self._logs = logs_pb2_grpc.LogsStub(self._channel)
        self._maintenance = maintenance_pb2_grpc.MaintenanceStub(self._channel)
        self._metrics = metrics_pb2_grpc.MetricsStub(self._channel)
        self._operations = operations_pb2_grpc.OperationsStub(self._channel)
        self._overview = overview_pb2_grpc.OverviewStub(self._channel)
        self._resources = resources_pb2_grpc.ResourcesStub(self._channel)
        self._status = status_pb2_grpc.StatusStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all calls."""
        await self._channel.close()

    # The agent itself

    async def info(self) -> agent_pb2.AgentInfo:
        return await self._ask(self._agent.Info, agent_pb2.AgentInfoRequest())

    async def shutdown(self, keep_services: bool = False) -> None:
        """Ends services, agent and keeper, or the agent alone; answers when the services have stopped.

        NoConnection may also mean that the agent ended before its answer was read.
        """
        request = agent_pb2.ShutdownRequest(keep_services=keep_services, by=this_actor().name)
        await self._ask(self._agent.Shutdown, request, STOP_TIMEOUT)

    async def upgrade(self, bundle_dir: str = "", python: str = "") -> str:
        """Replaces keeper and agent by those of a placed bundle (empty: the host's own installation); the version.

        `python`: the interpreter that the bundle was made for; empty: the one that runs the agent now.
        """
        request = agent_pb2.UpgradeRequest(bundle_dir=bundle_dir, python=python)
        return (await self._ask(self._agent.Upgrade, request, LONG_TIMEOUT)).version

    # What is

    async def status(self, names: Iterable[str] = ()) -> status_pb2.Snapshot:
        return await self._ask(self._status.Get, status_pb2.StatusRequest(names=names))

    async def check_health(self, names: Iterable[str] = ()) -> status_pb2.Snapshot:
        """Runs every probe now."""
        return await self._ask(self._status.CheckHealth, status_pb2.StatusRequest(names=names), LONG_TIMEOUT)

    def watch_status(self, names: Iterable[str] = (), interval: float = 1.0) -> AsyncIterator[status_pb2.Snapshot]:
        """Everything once, then what changed, at least once an interval (seconds); silence is a lost connection."""
        request = status_pb2.StatusRequest(names=names, interval=interval)
        return self._stream(self._status.Watch, request, silence=self._timeout + 3 * interval)

    async def metrics_page(self) -> str:
        """The host's figures as Prometheus reads them."""
        return (await self._ask(self._metrics.Page, metrics_pb2.PageRequest())).text

    async def series(self, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        return await self._ask(self._metrics.Read, request)

    async def remote_write(self) -> metrics_pb2.RemoteWriteResponse:
        """How remote write is; without a status where it is not declared."""
        return await self._ask(self._metrics.RemoteWrite, metrics_pb2.RemoteWriteRequest())

    async def resources(self, names: Iterable[str] = ()) -> resources_pb2.ResourcesResponse:
        """What instances may use, what holds it, and what they use."""
        return await self._ask(self._resources.Get, resources_pb2.ResourcesRequest(names=names))

    async def windows(self) -> maintenance_pb2.WindowsResponse:
        """Maintenance windows: which are open, and when the others are."""
        return await self._ask(self._maintenance.Windows, maintenance_pb2.WindowsRequest())

    async def overview(self) -> overview_pb2.OverviewResponse:
        """What the host runs, declared or not, and what it has; takes half a second."""
        return await self._ask(self._overview.Get, overview_pb2.OverviewRequest(), LONG_TIMEOUT)

    # Backups. `repository` is the folder of another than the configured one; ids may be shortened.

    async def backups(
        self,
        services: Iterable[str] = (),
        repository: str = "",
        *,
        cached: bool = False,
        without_sources: bool = False,
    ) -> backup_pb2.ListBackupsResponse:
        """`cached`: as last seen, at once; `without_sources`: not how much there is to back up."""
        request = backup_pb2.ListBackupsRequest(
            services=services, repository=repository, cached=cached, without_sources=without_sources
        )
        return await self._ask(self._backup.List, request, LONG_TIMEOUT)

    async def backup(self, snapshot: str, repository: str = "") -> backup_pb2.BackupSnapshot:
        request = backup_pb2.GetBackupRequest(id=snapshot, repository=repository)
        return await self._ask(self._backup.Get, request, LONG_TIMEOUT)

    async def backup_files(self, request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:
        """What a folder of a snapshot holds."""
        return await self._ask(self._backup.Files, request, REPOSITORY_TIMEOUT)

    async def backup_diff(self, request: backup_pb2.BackupDiffRequest) -> backup_pb2.BackupDiff:
        return await self._ask(self._backup.Diff, request, REPOSITORY_TIMEOUT)

    async def repository_stats(self, repository: str = "") -> backup_pb2.RepositoryStats:
        request = backup_pb2.RepositoryStatsRequest(repository=repository)
        return await self._ask(self._backup.Stats, request, REPOSITORY_TIMEOUT)

    async def deposit(self, secret: str, *, for_repository: bool = False) -> str:
        """Hands over a password for an operation that names the answer; it is part of no operation.

        `for_repository`: it is the one that opens the repository, where the configuration names none.
        """
        request = backup_pb2.DepositRequest(secret=secret, for_repository=for_repository)
        return (await self._ask(self._backup.Deposit, request)).ticket

    # Operations

    async def plan(self, request: operations_pb2.OperationRequest) -> operations_pb2.OperationPlan:
        return await self._ask(self._operations.Plan, request, _patience(request))

    async def begin(self, request: operations_pb2.OperationRequest) -> operations_pb2.Operation:
        """Begins the operation under the request's id; asking again with the same id answers with the same one."""
        return await self._ask(self._operations.Begin, request, _patience(request))

    async def operation(self, operation_id: str) -> operations_pb2.Operation:
        return await self._ask(self._operations.Get, operations_pb2.GetOperationRequest(id=operation_id))

    async def operations(self, limit: int = 50, open_only: bool = False) -> list[operations_pb2.Operation]:
        """Newest first."""
        request = operations_pb2.ListOperationsRequest(limit=limit, open_only=open_only)
        return list((await self._ask(self._operations.List, request)).operations)

    def watch_operation(self, operation_id: str) -> AsyncIterator[operations_pb2.Operation]:
        """The operation now and at each change, until it has ended."""
        return self._stream(self._operations.Watch, operations_pb2.GetOperationRequest(id=operation_id))

    async def cancel(self, operation_id: str) -> operations_pb2.Operation:
        request = operations_pb2.CancelOperationRequest(id=operation_id, actor=this_actor())
        return await self._ask(self._operations.Cancel, request)

    # Events and logs

    def events(
        self, after: int = 0, follow: bool = False, kinds: Iterable[str] = (), tail: int = 0
    ) -> AsyncIterator[events_pb2.EventBatch]:
        """Events after a sequence number, oldest first, in batches."""
        request = events_pb2.EventsRequest(after=after, follow=follow, kinds=kinds, tail=tail)
        return self._stream(self._events.Read, request, silence=None if follow else LONG_TIMEOUT)

    def logs(self, request: logs_pb2.LogsRequest) -> AsyncIterator[logs_pb2.LogBatch]:
        """Lines in time order, in batches. A search may be silent for long: only the end of the connection ends it."""
        return self._stream(self._logs.Read, request)

    def count_logs(self, request: logs_pb2.CountLogsRequest) -> AsyncIterator[logs_pb2.LogCounts]:
        """How far the count has come; the last has the result."""
        return self._stream(self._logs.Count, request)

    async def log_outputs(self) -> list[logs_pb2.LogOutput]:
        """Where lines are sent besides the files, in the order of the configuration."""
        return list((await self._ask(self._logs.Outputs, logs_pb2.LogOutputsRequest())).outputs)

    # Configuration

    async def config(self) -> config_pb2.ConfigText:
        return await self._ask(self._config.Get, config_pb2.GetConfigRequest())

    async def validate(self, yaml: str = "", path: str = "") -> config_pb2.ValidateResponse:
        """Checks a text, or the file on the host's disk when it is empty, as that host would."""
        return await self._ask(self._config.Validate, config_pb2.ConfigText(yaml=yaml, path=path))

    async def config_diff(self, yaml: str = "", path: str = "") -> config_pb2.DiffResponse:
        """What a configuration would change; without a text, the file on the host's disk."""
        return await self._ask(self._config.Diff, config_pb2.ConfigText(yaml=yaml, path=path))

    async def effective(self, yaml: str = "", path: str = "") -> config_pb2.EffectiveResponse:
        """Every value with its origin; without a text, of what is in force."""
        return await self._ask(self._config.Effective, config_pb2.ConfigText(yaml=yaml, path=path))

    async def _ask(self, method: Callable[..., Awaitable[T]], request: Message, timeout: float | None = None) -> T:
        try:
            return await method(request, timeout=timeout or self._timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from None
        except grpc.aio.UsageError:
            raise NoConnection(CLOSED) from None
        except asyncio.CancelledError:
            _raise_if_closed()
            raise

    async def _stream(
        self,
        method: Callable[..., grpc.aio.UnaryStreamCall[Any, T]],
        request: Message,
        silence: float | None = None,
    ) -> AsyncIterator[T]:
        """Messages of a stream; `silence` is the longest wait for one, in seconds."""
        call = method(request, metadata=self._metadata)
        try:
            while (message := await asyncio.wait_for(call.read(), silence)) is not grpc.aio.EOF:
                yield cast("T", message)
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from None
        except grpc.aio.UsageError:
            raise NoConnection(CLOSED) from None
        except TimeoutError:
            raise NoConnection(f"cannot hear from the agent: nothing came for {silence:.0f} s") from None
        except asyncio.CancelledError:
            _raise_if_closed()
            raise
        finally:
            call.cancel()


def _patience(request: operations_pb2.OperationRequest) -> float | None:
    """Seconds for a plan; what is to be adopted or restored is looked for first."""
    if request.WhichOneof("request") in ("restore_backup", "forget_backups", "prune_backups", "verify_backups"):
        return REPOSITORY_TIMEOUT
    return LONG_TIMEOUT if request.HasField("adopt") else None


def _raise_if_closed() -> None:
    """gRPC tells a reader of a closed channel CancelledError; it was not this task that was cancelled."""
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise NoConnection(CLOSED) from None
