"""What can be asked for as an operation. Names of fields are those of the API's messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OnFailure(StrEnum):
    """What becomes of a change of which a step has failed."""

    STOP = "stop"  # it stays as far as it came, to be resumed or rolled back
    ROLLBACK = "rollback"  # what was done is undone


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Start services with what they depend on; none: all.

    Without a configuration of its own it goes by the file on the host as it is now, and leaves alone what runs.
    """

    services: tuple[str, ...] = ()
    config_yaml: str = ""
    """Text of another configuration file to load first, whole; what it changes of what runs is restarted."""
    config_path: str = ""
    debug: bool = False
    """Sets BLACKHOLE_DEBUG=1 and LOG_LEVEL=debug for this run of the processes."""
    enable_pprof: bool = False

    @property
    def brings_config(self) -> bool:
        """Whether it names a configuration."""
        return bool(self.config_yaml or self.config_path)


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Stop services; what depends on them stays up, and the plan says so; none: all."""

    services: tuple[str, ...] = ()
    force: bool = False
    """Takes over from open operations, and stops all at the same time instead of dependents first."""
    timeout: float | None = None
    """Seconds of grace before SIGKILL; 0: killed at once; None: as each service declares."""
    emergency: bool = False
    """Kills every process of every service at once."""


@dataclass(frozen=True, slots=True)
class RestartRequest:
    """Restart services; none: all."""

    services: tuple[str, ...] = ()
    rolling: bool = False
    """One instance at a time, the next only when the last is healthy; stops at the first failure."""
    force: bool = False


@dataclass(frozen=True, slots=True)
class ReloadConfigRequest:
    """Read the configuration again and restart what the difference touches."""

    config_yaml: str = ""
    config_path: str = ""
    rolling: bool = False
    """One instance at a time, the next only when the last is healthy."""
    on_failure: str = ""
    """One of OnFailure; empty: stop when rolling, rollback otherwise."""


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """Go on with what a failed or cancelled restart or reload did not get to, what failed first."""

    operation: str
    """Its id, or the beginning of it."""


@dataclass(frozen=True, slots=True)
class RollBackRequest:
    """Put back what an operation has changed."""

    operation: str
    """Its id, or the beginning of it."""


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """Run that many instances of services, from now on and after every restart."""

    services: tuple[str, ...]
    replicas: int | None = None
    """0 to 1000; None: back to what the configuration declares."""


@dataclass(frozen=True, slots=True)
class AutoScaleRequest:
    """Let the number of instances of services follow their load; none named: of all that can have another number.

    None: as it is set or declared now. Shares are per cent; 0: not looked at.
    """

    services: tuple[str, ...] = ()
    auto: bool = True
    """Whether it follows the load from now on, or follows it no more."""
    min: int | None = None
    max: int | None = None
    cpu_threshold: float | None = None
    """Of the CPU limit of an instance, or of one core where it has none."""
    memory_threshold: float | None = None
    """Of the memory limit of an instance."""


@dataclass(frozen=True, slots=True)
class SetLimitsRequest:
    """Limit what each instance of a service may use, from now on and after every restart; None: left as it is."""

    service: str
    memory: int | None = None
    """Bytes."""
    cpu: float | None = None
    """Cores."""
    pids: int | None = None
    iops: int | None = None
    """Operations a second on each disk, of reading and of writing each."""
    bandwidth: int | None = None
    """Bytes a second on each disk, of reading and of writing each."""
    lift: tuple[str, ...] = ()
    """Limits that do not hold from now on, also if they are declared: `memory`."""


@dataclass(frozen=True, slots=True)
class ResetLimitsRequest:
    """Back to the limits and priorities that the configuration declares."""

    service: str


@dataclass(frozen=True, slots=True)
class SetPriorityRequest:
    """Priorities of a service, from now on and after every restart; None: left as it is."""

    service: str
    nice: int | None = None
    """-20 (first) to 19 (last)."""
    ionice: str | None = None
    """`idle`, `best-effort:0-7` or `realtime:0-7`."""
    lift: tuple[str, ...] = ()
    """Priorities that are the agent's own from now on, also if they are declared: `nice`."""


@dataclass(frozen=True, slots=True)
class ClearCacheRequest:
    """Ask services, by their contract, to give back what can be filled again."""

    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollectGarbageRequest:
    """Ask services, by their contract, to collect garbage."""

    services: tuple[str, ...]
    force: bool = False
    """Clears their caches first, so that what those held is collected too."""


@dataclass(frozen=True, slots=True)
class CleanupLogsRequest:
    """Remove captured output of which every line of a file is older than an age."""

    older_than: float
    """Seconds."""
    services: tuple[str, ...] = ()
    """Services or instances; none: all that there is output of."""


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """Write the service that a unit, a container or a process would be into the host's configuration."""

    target: str
    """A unit, a container or the number of a process; `unit:`, `container:`, `pid:` before it say which."""
    name: str = ""
    """What the service is called; empty: after what it is made of."""
    document_only: bool = False
    """Only shows the text: the plan has no steps."""


LifeRequest = StartRequest | StopRequest | RestartRequest | ReloadConfigRequest
ResourceRequest = SetLimitsRequest | ResetLimitsRequest | SetPriorityRequest | ClearCacheRequest | CollectGarbageRequest


@dataclass(frozen=True, slots=True)
class OpenWindowRequest:
    """Hold what would be restarted by itself, for a while."""

    seconds: float
    services: tuple[str, ...] = ()
    """None: all."""


@dataclass(frozen=True, slots=True)
class CloseWindowRequest:
    """Close a maintenance window, a declared one until its time comes next, and start what it held."""

    window: str = ""
    """Its name, or the beginning of its id; empty: the only one that is open."""


@dataclass(frozen=True, slots=True)
class CreateBackupRequest:
    """Back up the data of services, each as a snapshot of its own; none: all that have data."""

    services: tuple[str, ...] = ()
    type: str = "incremental"
    """One of BackupType."""
    repository: str = ""
    """Folder of another repository than the configured one; it is made when there is none."""


@dataclass(frozen=True, slots=True)
class RestoreBackupRequest:
    """Put back what backups hold: in place, with the services stopped while it is swapped, or into a folder."""

    snapshot: str = ""
    """An id, or the beginning of one, of a snapshot or of a run; empty: the newest of each service."""
    services: tuple[str, ...] = ()
    """None: all that the snapshot or the repository has."""
    before_ns: int = 0
    """The newest made at or before this moment; 0: any."""
    target: str = ""
    """A folder to restore into; nothing is stopped then."""
    paths: tuple[str, ...] = ()
    """Only these files and folders of the snapshot; with a target alone."""
    keep_old: bool = False
    """Leaves the data from before beside the restored."""
    repository: str = ""
    database: str = ""
    """Only this database, of its dump in the snapshot, while its server runs on; empty: the service as a whole."""


@dataclass(frozen=True, slots=True)
class ForgetBackupsRequest:
    """Take snapshots out of the repository; their space is freed by the next prune."""

    snapshots: tuple[str, ...]
    repository: str = ""


@dataclass(frozen=True, slots=True)
class PruneBackupsRequest:
    """Forget what retention does not keep, then free what no snapshot needs."""

    repository: str = ""


@dataclass(frozen=True, slots=True)
class VerifyBackupsRequest:
    """Check that snapshots can be restored; none: all, and the repository itself."""

    snapshots: tuple[str, ...] = ()
    read_data: bool = False
    """Every byte, not only that everything is there."""
    repository: str = ""


@dataclass(frozen=True, slots=True)
class DrillBackupsRequest:
    """Restore the newest backup of services on trial, and start them with it apart from the host; none: all."""

    services: tuple[str, ...] = ()
    snapshot: str = ""
    """Another one than the newest."""
    repository: str = ""


@dataclass(frozen=True, slots=True)
class RepairBackupsRequest:
    """Make a damaged repository usable again: a new index, and snapshots without the files that are lost."""

    repository: str = ""


@dataclass(frozen=True, slots=True)
class HealBackupsRequest:
    """Put damaged or missing pieces back from the files on this host that still hold them."""

    repository: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryRequest:
    """Make a repository, or take away locks of those that are gone."""

    action: str
    """`init` or `unlock`."""
    all: bool = False
    """Also locks that may be in use."""
    password_file: str = ""
    """A file to be made, with a new password in it that opens the new repository."""
    repository: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryKeyRequest:
    """Add, remove or change a password of the repository."""

    action: str
    """`add`, `remove` or `change`."""
    key: str = ""
    """Id of the key that is removed, or its beginning."""
    password_file: str = ""
    """File on the host that holds the new password."""
    ticket: str = ""
    """What was given for a new password that was handed over beforehand; it is never part of an operation."""
    repository: str = ""


@dataclass(frozen=True, slots=True)
class CheckDataRequest:
    """Check the live data of services, by their contract or from outside."""

    services: tuple[str, ...]
    repair: bool = False
    """Puts right what can be."""


@dataclass(frozen=True, slots=True)
class CleanupServiceRequest:
    """Remove what a service that is down left behind: processes, cgroups, stale sockets and half-done restores."""

    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Stop everything and put the data of services aside, so that they start from nothing or from a backup."""

    services: tuple[str, ...] = ()
    """None: all."""
    keep_old: bool = True
    """Puts the data aside; False: removes it."""


BackupRequest = (
    CreateBackupRequest
    | RestoreBackupRequest
    | ForgetBackupsRequest
    | PruneBackupsRequest
    | VerifyBackupsRequest
    | DrillBackupsRequest
    | RepairBackupsRequest
    | HealBackupsRequest
    | RepositoryRequest
    | RepositoryKeyRequest
)
RescueRequest = CheckDataRequest | CleanupServiceRequest | ResetRequest
"""What is about the live data of services."""
WindowRequest = OpenWindowRequest | CloseWindowRequest
PastRequest = ResumeRequest | RollBackRequest
"""What is about an operation that has ended."""
NumberRequest = ScaleRequest | AutoScaleRequest
HostRequest = CleanupLogsRequest | AdoptRequest | WindowRequest
Request = LifeRequest | NumberRequest | ResourceRequest | HostRequest | PastRequest | BackupRequest | RescueRequest
