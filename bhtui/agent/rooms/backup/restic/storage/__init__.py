"""Where the files of a repository are: one small interface, whatever is behind it.

Layout (design, "Repository Layout"): `config`, and a folder each for `keys locks snapshots index data`; packs lie in
`data/ab/` by the first two digits of their names. All names but `config` are the SHA-256 of the content, so that a file
never changes and writing it twice does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["config", "keys", "locks", "snapshots", "index", "data"]
KINDS: tuple[Kind, ...] = ("keys", "locks", "snapshots", "index", "data")
"""Those that are folders."""


class Storage(Protocol):
    """Files of a repository. Any call may raise EngineError: not_found, permission, no_space, unreachable, refused.

    Calls may come from several threads at once.
    """

    @property
    def place(self) -> str:
        """Where this is, for people; never with a secret in it."""

    @property
    def scratch(self) -> Path | None:
        """A local folder from which `put` moves a file instead of copying it; None: any will do."""

    def create(self) -> None:
        """Makes the empty layout. What is there already stays."""

    def list(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Names and sizes in bytes, in no order."""

    def read(self, kind: Kind, name: str, offset: int = 0, length: int = -1) -> bytes:
        """The content from `offset`, `length` bytes of it (-1: to the end). Shorter only where the file ends."""

    def write(self, kind: Kind, name: str, content: bytes) -> None:
        """Stores it whole or not at all; when this returns, it is on disk. `config` is never replaced."""

    def put(self, kind: Kind, name: str, file: Path) -> None:
        """As `write`, from a local file, which is gone afterwards."""

    def local(self, kind: Kind, name: str) -> Path | None:
        """Its path, when it is a file of this host, so that a child process can read it; else None."""

    def remove(self, kind: Kind, name: str) -> None:
        """Removes it; nothing happens when it is not there."""

    def sweep(self) -> int:
        """Removes what killed runs left beside; how many files. Only under an exclusive lock: nobody else writes."""

    def close(self) -> None:
        """Ends connections."""


def path(kind: Kind, name: str) -> str:
    """The place of a file below the top of the repository."""
    if kind == "config":
        return "config"
    return f"data/{name[:2]}/{name}" if kind == "data" else f"{kind}/{name}"


def is_local(storage: Storage) -> bool:
    """Whether its files are files of this host: child processes can read them, and a new one is listed at once."""
    return storage.local("data", "0" * 64) is not None
