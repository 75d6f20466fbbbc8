"""What exists of backups and what one would take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot in the repository. What is inside is encrypted, so only this much is known without the password."""

    id: str
    time_ns: int
    """When its file was written, Unix nanoseconds."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """One path that a service declares as its data."""

    service: str
    path: str
    bytes: int = 0
    files: int = 0
    problem: str = ""
    """Why the figures are missing or not complete; empty: they are complete."""


@dataclass(frozen=True, slots=True)
class Backups:
    """Everything known."""

    snapshots: tuple[Snapshot, ...]
    """Newest first. They are of the whole repository: which services one holds cannot be seen from outside."""
    sources: tuple[DataSource, ...]
    repository: str
    """As restic names it; empty: none is configured."""
    hint: str
    """One line: how to make a backup from here."""
