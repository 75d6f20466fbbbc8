"""Backups: what exists, and what a backup would take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackupSnapshot:
    """One backup that exists."""

    id: str
    time_ns: int
    type: str
    """`full` or `incremental`; empty: unknown."""
    host: str
    services: tuple[str, ...] = ()
    bytes_added: int = 0
    bytes_total: int = 0
    verified: bool = False


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
class Backups:
    """The answer to `what is backed up here`."""

    snapshots: tuple[BackupSnapshot, ...] = ()
    """Newest first."""
    sources: tuple[BackupSource, ...] = ()
    repository: str = ""
    """Where snapshots are kept, as configured; empty: nowhere."""
    hint: str = ""
    """How to make one from here, one line."""
