"""Backups: what is declared of them, what exists, and what one would take.

Times are Unix nanoseconds, 0: never. Durations are seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class BackupType(StrEnum):
    """How much of its source a backup reads."""

    FULL = "full"  # every byte again
    INCREMENTAL = "incremental"  # only files that differ from the backup before, by time, size and inode


class Outcome(StrEnum):
    """How a look at a snapshot ended."""

    GOOD = "good"
    BAD = "bad"


# ---- declared ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """Where a repository is. Only the fields of its type mean something."""

    type: str
    """`local`, `sftp` or `s3`."""
    path: str = ""
    host: str = ""
    user: str = ""
    port: int = 22
    identity_file: str = ""
    bucket: str = ""
    region: str = ""
    prefix: str = ""
    endpoint: str = ""
    credentials_file: str = ""

    @property
    def location(self) -> str:
        """As stock restic is told of it."""
        match self.type:
            case "local":
                return self.path
            case "sftp":
                who = f"{self.user}@{self.host}" if self.user else self.host
                return f"sftp://{who}:{self.port}/{self.path}" if self.port != 22 else f"sftp:{who}:{self.path}"
        endpoint = self.endpoint or f"s3.{self.region}.amazonaws.com"
        return "s3:" + "/".join(part.strip("/") for part in (endpoint, self.bucket, self.prefix) if part)


@dataclass(frozen=True, slots=True)
class BackupSchedule:
    """When backups are made by themselves."""

    full: str = ""
    """Cron, by the clock of the host; empty: never."""
    incremental: str = ""
    jitter: float = 0.0
    """Longest delay; each host has one of its own in this, always the same."""
    catch_up: bool = True
    """Whether a run that was missed while the host or its agent was down is made up for."""

    @property
    def is_set(self) -> bool:
        return bool(self.full or self.incremental)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many snapshots of each service are kept. One is kept when any rule keeps it."""

    full: int = 4
    incremental: int = 7
    daily: int = 0
    """Days of which the newest is kept."""
    weekly: int = 0
    monthly: int = 0


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of backups; 0: nothing."""

    rpo: float = 0.0
    """How old the newest good backup of a service may be."""
    rto: float = 0.0
    """How long bringing a service back may take."""


@dataclass(frozen=True, slots=True)
class DrillSpec:
    """When and where backups are restored on trial."""

    schedule: str = ""
    """Cron; empty: only by hand."""
    folder: str = ""
    """Where they are restored; empty: the agent's own folder."""
    timeout: float = 600.0
    """How long a service may take until it is well."""


@dataclass(frozen=True, slots=True)
class BackupSpec:
    """The section `backup`."""

    storage: StorageSpec | None = None
    schedule: BackupSchedule = BackupSchedule()
    retention: Retention = Retention()
    promise: Promise = Promise()
    drill: DrillSpec = DrillSpec()
    password_file: str = ""
    password_command: tuple[str, ...] = ()
    bandwidth: int = 0
    """Bytes a second between host and repository; 0: no limit."""
    excludes: tuple[str, ...] = ()
    """Patterns of what no backup takes."""


@dataclass(frozen=True, slots=True)
class RedisBackup:
    """A Redis server that saves before its files are taken."""

    address: str
    """`host:port`, or `unix:PATH`."""
    user: str = ""
    password_file: str = ""


@dataclass(frozen=True, slots=True)
class PostgresqlBackup:
    """A PostgreSQL server of which a base backup is taken."""

    host: str = ""
    """Address, or folder of its socket; empty: where its programs look by themselves."""
    port: int = 0
    """0: the service's first port."""
    user: str = ""
    """A role that may replicate; empty: named as the service's user."""
    database: str = "postgres"
    """To which questions are put."""
    bin: str = ""
    """Folder of its programs; empty: that of the service's command."""
    dumps: tuple[str, ...] = ()
    """Databases that are dumped as well."""
    wal_archive: str = ""
    """Folder into which its archive_command copies; empty: no moments but those of backups."""
    wal_keep: float = 7 * 86400.0
    """How long archived log stays there, besides what the newest base backup needs."""


@dataclass(frozen=True, slots=True)
class MysqlBackup:
    """A MySQL or MariaDB server that is dumped."""

    defaults_file: str = ""
    """Option file with user and password."""
    socket: str = ""
    databases: tuple[str, ...] = ()
    """None: all."""
    bin: str = ""


@dataclass(frozen=True, slots=True)
class ServiceBackup:
    """What a service says of its own backups."""

    excludes: tuple[str, ...] = ()
    """Patterns of what is left out of its data."""
    before: tuple[str, ...] = ()
    """Run before its data is read."""
    after: tuple[str, ...] = ()
    """Run when that is over, however it ended."""
    timeout: float = 3600.0
    """For each command, save, base backup or call."""
    sqlite: bool = True
    """Whether SQLite databases among its data are copied online."""
    redis: RedisBackup | None = None
    postgresql: PostgresqlBackup | None = None
    mysql: MysqlBackup | None = None


NO_BACKUP = BackupSpec()
ALL_DATA = ServiceBackup()

# ---- what exists -------------------------------------------------------------------------------------------------


REPAIRED = "repaired"
"""The tag of a snapshot that has lost files when its repository was repaired."""


@dataclass(frozen=True, slots=True)
class BackupSnapshot:
    """One backup that exists: of one service, made in one run."""

    id: str
    """As restic has it, 64 hexadecimal digits."""
    time_ns: int
    type: str
    """`full` or `incremental`; empty: unknown."""
    host: str
    services: tuple[str, ...] = ()
    bytes_added: int = 0
    bytes_total: int = 0
    verified: bool = False
    """Whether the last look at it found nothing wrong."""
    run: str = ""
    """What the snapshots of one run have in common; empty: another program made it."""
    paths: tuple[str, ...] = ()
    files: int = 0
    parent: str = ""
    """The snapshot it was compared to; it does not need that one."""
    tags: tuple[str, ...] = ()
    program: str = ""
    verified_ns: int = 0
    """When it was last looked at; 0: never."""
    verified_how: str = ""
    """`structure` or `data` (every byte)."""
    problem: str = ""
    """What is wrong with it; empty: nothing that is known."""
    drilled_ns: int = 0
    """When it was last restored on trial; 0: never."""
    drill_problem: str = ""
    drill_seconds: float = 0.0
    """How long that took until the service was healthy."""
    kept: tuple[str, ...] = ()
    """Why retention keeps it; none: the next prune removes it."""

    @property
    def service(self) -> str:
        """The service it is of; empty: none, or several."""
        return self.services[0] if len(self.services) == 1 else ""


@dataclass(frozen=True, slots=True)
class BackupSource:
    """One path that a service declares as its data."""

    service: str
    path: str
    bytes: int = 0
    files: int = 0
    problem: str = ""
    """Why it cannot be read; empty: it can."""


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """How far something under way has come."""

    operation: str
    service: str
    """Empty: the repository as a whole."""
    phase: str
    """`scan backup restore verify prune ...`"""
    bytes: int = 0
    bytes_total: int = 0
    """0: not known yet."""
    files: int = 0
    files_total: int = 0
    current: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ServiceProtection:
    """How well one service that has data is protected now, beside what was promised."""

    service: str
    last_ns: int = 0
    """Its newest snapshot; 0: none."""
    last_good_ns: int = 0
    """The newest in which nothing wrong is known."""
    failed_ns: int = 0
    """When the last attempt failed, if nothing was made since; 0: it did not."""
    error: str = ""
    late: bool = False
    """Whether the newest good one is older than promised, or there is none."""
    drilled_ns: int = 0
    drill_seconds: float = 0.0
    """Of the last drill that went well."""
    drill_problem: str = ""
    """Of the last drill; empty: it went well, or there was none."""


@dataclass(frozen=True, slots=True)
class Backups:
    """The answer to `what is backed up here`."""

    snapshots: tuple[BackupSnapshot, ...] = ()
    """Newest first."""
    sources: tuple[BackupSource, ...] = ()
    repository: str = ""
    """Where snapshots are kept, as configured; empty: nowhere."""
    hint: str = ""
    """What to do next, one line; empty: nothing."""
    seen_ns: int = 0
    """When the repository was last looked at; 0: never."""
    problem: str = ""
    """Why it cannot be looked at now; the snapshots are then those that were seen last."""
    services: tuple[ServiceProtection, ...] = ()
    running: tuple[BackupProgress, ...] = ()
    next_full_ns: int = 0
    """When the schedule makes the next; 0: never."""
    next_incremental_ns: int = 0
    rpo_seconds: float = 0.0
    """What is promised; 0: nothing."""
    rto_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BackupEntry:
    """One file or folder in a snapshot."""

    path: str
    type: str
    """`file dir symlink dev chardev fifo socket`"""
    mode: int = 0
    size: int = 0
    mtime_ns: int = 0
    user: str = ""
    group: str = ""
    linktarget: str = ""


@dataclass(frozen=True, slots=True)
class BackupFiles:
    """A folder of a snapshot, or all below it."""

    id: str
    entries: tuple[BackupEntry, ...] = ()
    more: bool = False
    """Whether there is more than was asked for."""


@dataclass(frozen=True, slots=True)
class BackupChange:
    """One path in which two snapshots differ."""

    path: str
    kind: str
    """`added removed changed meta`"""
    size_a: int = 0
    size_b: int = 0


@dataclass(frozen=True, slots=True)
class BackupDiff:
    """From one snapshot to another."""

    a: str
    b: str
    changes: tuple[BackupChange, ...] = ()
    bytes_added: int = 0
    bytes_removed: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryLock:
    """Somebody works in the repository, or died while doing so."""

    host: str
    pid: int
    time_ns: int
    exclusive: bool
    user: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryKey:
    """One password that opens the repository."""

    id: str
    host: str = ""
    user: str = ""
    created_ns: int = 0
    current: bool = False
    """Whether it is the one in use here."""


@dataclass(frozen=True, slots=True)
class RepositoryStats:
    """What a repository holds."""

    repository: str = ""
    snapshots: int = 0
    blobs: int = 0
    packs: int = 0
    bytes: int = 0
    """As stored: compressed, each piece once."""
    bytes_raw: int = 0
    """Before compression, each piece once."""
    unused_bytes: int = 0
    """Of what no snapshot needs; prune frees it."""
    locks: tuple[RepositoryLock, ...] = field(default=())
    keys: tuple[RepositoryKey, ...] = field(default=())
