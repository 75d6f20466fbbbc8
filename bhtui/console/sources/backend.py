"""What the console needs of whatever is behind it: live hosts, a recording, or a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from bhtui.rpc.blackhole.v1 import backup_pb2, logs_pb2, metrics_pb2, operations_pb2, overview_pb2

from .message import HostInfo, Seen

Sink = Callable[[Seen], None]


class Backend(Protocol):
    """Hosts, seen and acted on. Methods raise core errors; streams end only with their task."""

    def hosts(self) -> tuple[HostInfo, ...]:
        """Every host, in the inventory's order."""

    async def run(self, sink: Sink) -> None:
        """Watches every host until cancelled; what is seen goes to `sink`, from the event loop's thread."""

    def logs(self, host: str, request: logs_pb2.LogsRequest) -> AsyncGenerator[logs_pb2.LogBatch, None]:
        """Lines, and with `follow` those to come; goes on over lost connections without loss or repeat."""

    async def count_logs(self, host: str, request: logs_pb2.CountLogsRequest) -> logs_pb2.LogCounts:
        """How many lines there are, over time."""

    async def series(self, host: str, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        """Samples over time."""

    async def overview(self, host: str) -> overview_pb2.OverviewResponse:
        """What the host runs and has, declared or not."""

    async def outputs(self, host: str) -> tuple[logs_pb2.LogOutputsResponse, metrics_pb2.RemoteWriteResponse]:
        """How log outputs and remote write are."""

    async def backups(self, host: str) -> backup_pb2.ListBackupsResponse:
        """How well services are protected, and the snapshots, as last seen."""

    async def backup_files(self, host: str, request: backup_pb2.BackupFilesRequest) -> backup_pb2.BackupFiles:
        """What a folder of a snapshot holds."""

    async def backup_diff(self, host: str, request: backup_pb2.BackupDiffRequest) -> backup_pb2.BackupDiff:
        """In what two snapshots differ."""

    async def plan(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.OperationPlan:
        """What `begin` would run."""

    async def begin(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.Operation:
        """Starts the operation under the id in the request."""

    def watch(self, host: str, operation: str) -> AsyncIterator[operations_pb2.Operation]:
        """An operation at each change until it has ended, over lost connections too."""

    async def cancel(self, host: str, operation: str) -> operations_pb2.Operation:
        """Asks for the operation to be cancelled."""

    async def close(self) -> None:
        """Ends what `run` did not own: connections, files."""
