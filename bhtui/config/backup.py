"""`backup`: when backups are made, how many are kept, and where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Cron, Section, Text, Url


class BackupSchedule(Section):
    """When; nothing given: only by hand."""

    full: Cron | None = None
    """Full backups: cron, five fields."""
    incremental: Cron | None = None
    """Incremental backups: cron, five fields."""


class Retention(Section):
    """How many of each are kept."""

    full: Annotated[int, Field(ge=1)] = 4
    """Full backups that are kept."""
    incremental: Annotated[int, Field(ge=0)] = 7
    """Incremental backups that are kept."""


class LocalStorage(Section):
    """A folder of the host."""

    type: Literal["local"]
    """This kind of storage."""
    path: Text
    """The folder."""


class SftpStorage(Section):
    """A folder of another host, reached by SSH."""

    type: Literal["sftp"]
    """This kind of storage."""
    host: Text
    """The host."""
    path: Text
    """The folder there."""
    user: Text = ""
    """Login name. Empty: the agent's own."""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    """Port of its sshd."""
    identity_file: Text = ""
    """Private key. Empty: SSH's default."""


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
    """File with the access key and the secret key."""


Storage = Annotated[LocalStorage | SftpStorage | S3Storage, Field(discriminator="type")]


class Backup(Section):
    """The section."""

    schedule: BackupSchedule = BackupSchedule()
    """When backups are made. Checked only: this version does not act on it."""
    retention: Retention = Retention()
    """How many are kept. Checked only: this version does not act on it."""
    storage: Storage | None = None
    """Where they are kept. Snapshots of a local repository are listed."""
    password_file: Text = ""
    """File with the repository's password. Checked only: this version does not act on it."""
