"""`backup`: when backups are made, how many are kept, and where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Cron, Section, Text, Url


class BackupSchedule(Section):
    """When; nothing given: only by hand."""

    full: Cron | None = None
    incremental: Cron | None = None


class Retention(Section):
    """How many of each are kept."""

    full: Annotated[int, Field(ge=1)] = 4
    incremental: Annotated[int, Field(ge=0)] = 7


class LocalStorage(Section):
    """A folder of the host."""

    type: Literal["local"]
    path: Text


class SftpStorage(Section):
    """A folder of another host, reached by SSH."""

    type: Literal["sftp"]
    host: Text
    path: Text
    user: Text = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    identity_file: Text = ""


class S3Storage(Section):
    """A bucket of S3 or of what speaks its protocol. Credentials are read from a file, never from here."""

    type: Literal["s3"]
    bucket: Text
    region: Text = "us-east-1"
    prefix: Text = ""
    endpoint: Url | None = None
    credentials_file: Text = ""


Storage = Annotated[LocalStorage | SftpStorage | S3Storage, Field(discriminator="type")]


class Backup(Section):
    """The section."""

    schedule: BackupSchedule = BackupSchedule()
    retention: Retention = Retention()
    storage: Storage | None = None
    password_file: Text = ""
