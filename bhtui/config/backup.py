"""`backup`: when backups are made, how many are kept, where, and what is promised of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bhtui.core import backup as core

from .fields import Command, Cron, Duration, Section, Size, Text, Texts, Url, Wait, text

AtPath = Callable[[str], str]
"""A path from the configuration's folder."""


class BackupSchedule(Section):
    """When, by the clock of the host; nothing given: only by hand."""

    full: Cron | None = None
    """Full backups, which read every byte again: cron, five fields."""
    incremental: Cron | None = None
    """Incremental backups: cron, five fields. Where both come due at the same time, the full one is made."""
    jitter: Annotated[Duration, Field(le=86400)] = 0.0
    """Longest delay: each host has one of its own in this, always the same, so that many do not begin at once."""
    catch_up: bool = True
    """Whether a backup that was missed while the host was down is made when it is up again."""


class Retention(Section):
    """How many snapshots of each service are kept; one is kept when any of these keeps it, the newest always."""

    full: Annotated[int, Field(ge=1)] = 4
    """Full backups that are kept."""
    incremental: Annotated[int, Field(ge=0)] = 7
    """Incremental backups that are kept."""
    keep_daily: Annotated[int, Field(ge=0)] = 0
    """Days of which the newest is kept."""
    keep_weekly: Annotated[int, Field(ge=0)] = 0
    """Weeks of which the newest is kept."""
    keep_monthly: Annotated[int, Field(ge=0)] = 0
    """Months of which the newest is kept."""


def folder(value: Any) -> str:
    """A path that is not the root of everything. Raises ValueError."""
    written = text(value)
    if not written.strip("/"):
        raise ValueError(f"{written!r} is no folder for a repository")
    return written


def option_free(value: Any) -> str:
    """A name that no program takes for an option. Raises ValueError."""
    written = text(value)
    if not written or written.startswith("-") or any(char.isspace() for char in written):
        raise ValueError(f"{written!r} is no host name")
    return written


Folder = Annotated[str, BeforeValidator(folder)]
HostName = Annotated[str, BeforeValidator(option_free)]


class LocalStorage(Section):
    """A folder of the host."""

    type: Literal["local"]
    """This kind of storage."""
    path: Folder
    """The folder."""

    def spec(self, at: AtPath) -> core.StorageSpec:
        """As a frozen value."""
        return core.StorageSpec("local", path=at(self.path))


class SftpStorage(Section):
    """A folder of another host, reached by SSH."""

    type: Literal["sftp"]
    """This kind of storage."""
    host: HostName
    """The host, or its name in the agent's ~/.ssh/config."""
    path: Folder
    """The folder there."""
    user: Text = ""
    """Login name. Empty: SSH's default."""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    """Port of its sshd."""
    identity_file: Text = ""
    """Private key. Empty: SSH's default."""

    def spec(self, at: AtPath) -> core.StorageSpec:
        """As a frozen value."""
        key = at(self.identity_file) if self.identity_file else ""
        return core.StorageSpec(
            "sftp", path=self.path, host=self.host, user=self.user, port=self.port, identity_file=key
        )


class S3Storage(Section):
    """A bucket of S3 or of what speaks its protocol. Credentials are read from a file, never from here."""

    type: Literal["s3"]
    """This kind of storage."""
    bucket: Text
    """The bucket."""
    region: Text = "us-east-1"
    """Its region."""
    prefix: Text = ""
    """Beginning of every object's name."""
    endpoint: Url | None = None
    """URL of the service. None: that of the region."""
    credentials_file: Text = ""
    """File with the access key and the secret key, as AWS has it (`[default]`, `aws_access_key_id = ...`). Empty: the
    variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the agent."""

    def spec(self, at: AtPath) -> core.StorageSpec:
        """As a frozen value."""
        credentials = at(self.credentials_file) if self.credentials_file else ""
        return core.StorageSpec(
            "s3", bucket=self.bucket, region=self.region, prefix=self.prefix, endpoint=self.endpoint or "",
            credentials_file=credentials,
        )  # fmt: skip


Storage = Annotated[LocalStorage | SftpStorage | S3Storage, Field(discriminator="type")]


class Promise(Section):
    """What is promised of backups, shown beside what was measured; an event tells when it is not kept."""

    rpo: Wait | None = None
    """How old the newest good backup of a service may be: `24h`. None: nothing is promised."""
    rto: Wait | None = None
    """How long bringing a service back may take: `30m`. None: nothing is promised."""


class Drill(Section):
    """Restores the newest backups on trial and starts the services with them, apart from the host."""

    schedule: Cron | None = None
    """When: cron, five fields. None: only by `backup drill`."""
    folder: Text = ""
    """Where they are restored; room for the largest service is needed. Empty: the agent's own folder."""
    timeout: Wait = 600.0
    """How long a service may take until it is well."""

    def spec(self, at: AtPath) -> core.DrillSpec:
        """As a frozen value."""
        return core.DrillSpec(self.schedule or "", at(self.folder) if self.folder else "", self.timeout)


class Backup(Section):
    """The section."""

    schedule: BackupSchedule = BackupSchedule()
    """When backups are made."""
    retention: Retention = Retention()
    """How many are kept; the rest is removed by `backup prune`, which follows each scheduled backup."""
    storage: Storage | None = None
    """Where they are kept: a restic repository."""
    password_file: Text = ""
    """File with the repository's password, readable by the agent's user alone."""
    password_command: Command | None = None
    """Prints the repository's password; run without a shell. Without either, BLACKHOLE_BACKUP_PASSWORD of the agent."""
    bandwidth: Size | None = None
    """Bytes a second between the host and the repository. None: no limit."""
    excludes: Texts = ()
    """Patterns of what no backup takes: `*.tmp`, `/srv/app/cache`."""
    promise: Promise = Promise()
    """What is promised of backups."""
    drill: Drill = Drill()
    """Restores on trial."""

    def spec(self, at: AtPath) -> core.BackupSpec:
        """As a frozen value."""
        schedule, kept, promise = self.schedule, self.retention, self.promise
        return core.BackupSpec(
            storage=self.storage.spec(at) if self.storage else None,
            schedule=core.BackupSchedule(
                schedule.full or "", schedule.incremental or "", schedule.jitter, schedule.catch_up
            ),
            retention=core.Retention(kept.full, kept.incremental, kept.keep_daily, kept.keep_weekly, kept.keep_monthly),
            promise=core.Promise(promise.rpo or 0.0, promise.rto or 0.0),
            drill=self.drill.spec(at),
            password_file=at(self.password_file) if self.password_file else "",
            password_command=self.password_command or (),
            bandwidth=self.bandwidth or 0,
            excludes=self.excludes,
        )


class RedisBackup(Section):
    """Has a Redis server save before its files are taken."""

    address: Text
    """Where it answers: `127.0.0.1:6379`, or `unix:/run/redis/redis.sock`."""
    user: Text = ""
    """User of its access lists. Empty: the default one."""
    password_file: Text = ""
    """File with its password. Empty: it asks for none."""

    def spec(self) -> core.RedisBackup:
        """As a frozen value."""
        return core.RedisBackup(self.address, self.user, self.password_file)


class PostgresqlBackup(Section):
    """Takes a base backup of a PostgreSQL server in place of its live files."""

    host: Text = ""
    """Address, or folder of its socket. Empty: where its programs look by themselves."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Its port. 0: the service's first."""
    user: Text = ""
    """A role that may replicate, without a password or with one in ~/.pgpass. Empty: named as the service's user."""
    database: Text = "postgres"
    """To which questions are put."""
    bin: Text = ""
    """Folder of pg_basebackup, pg_dump and psql. Empty: that of the service's command, then the PATH."""
    dumps: Texts = ()
    """Databases that are dumped as well, into /SERVICE.DATABASE.pgdump of the snapshot."""
    wal_archive: Text = ""
    """Folder into which its archive_command copies. With it, `restore --timestamp` plays the log back to the moment."""
    wal_keep: Duration = 7 * 86400.0
    """How long archived log stays there, besides what the newest base backup needs."""

    def spec(self) -> core.PostgresqlBackup:
        """As a frozen value."""
        return core.PostgresqlBackup(
            self.host, self.port, self.user, self.database, self.bin, self.dumps, self.wal_archive, self.wal_keep
        )


class MysqlBackup(Section):
    """Dumps a MySQL or MariaDB server in place of its live files."""

    defaults_file: Text = ""
    """Option file with user and password, for the agent's eyes only."""
    socket: Text = ""
    """Its socket. Empty: the usual one."""
    databases: Texts = ()
    """What is dumped. None: all, which alone can be restored in place."""
    bin: Text = ""
    """Folder of mariadb-dump, mariadb, mariadbd, mariadb-install-db or their MySQL names. Empty: the PATH."""

    def spec(self) -> core.MysqlBackup:
        """As a frozen value."""
        return core.MysqlBackup(self.defaults_file, self.socket, self.databases, self.bin)


class ServiceBackup(Section):
    """What a service says of its own backups."""

    excludes: Texts = ()
    """Patterns of what is left out of its data, besides those of `backup`."""
    before: Command = ()
    """Command that is run before its data is read, as the service's user. When it fails, there is no backup."""
    after: Command = ()
    """Command that is run when that is over; BLACKHOLE_BACKUP_RESULT says `success` or `failure`."""
    timeout: Wait = 3600.0
    """How long each command, save, base backup or call may take."""
    sqlite: bool = True
    """Whether SQLite databases among its data are copied while they are in use. A copy stands for the file."""
    redis: RedisBackup | None = None
    """A Redis server that saves before."""
    postgresql: PostgresqlBackup | None = None
    """A PostgreSQL server of which a base backup is taken."""
    mysql: MysqlBackup | None = None
    """A MySQL or MariaDB server that is dumped."""

    def spec(self) -> core.ServiceBackup:
        """As a frozen value."""
        return core.ServiceBackup(
            self.excludes,
            self.before,
            self.after,
            self.timeout,
            self.sqlite,
            self.redis.spec() if self.redis else None,
            self.postgresql.spec() if self.postgresql else None,
            self.mysql.spec() if self.mysql else None,
        )
