"""A repository in a folder of this host."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Code, EngineError
from . import KINDS, Kind, path
from .scratch import new_file

_CODES: dict[int, Code] = {
    errno.ENOENT: "not_found",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "permission",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
}
_NEXT = {
    "not_found": "check `backup.storage.path`",
    "permission": "run as a user who may, or change its rights",
    "no_space": "free space there, or prune with `blackhole backup prune`",
    "unreachable": "check the disk",
}


class Local:
    """Files in a folder, each written beside, synced, and moved to its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    @property
    def scratch(self) -> Path:
        """A folder of the same file system; stock restic does not look at it."""
        return self._folder / "tmp"

    def create(self) -> None:
        """Makes the folders; only their owner may look inside."""
        with self._told("make the folder"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for kind in KINDS:
                (self._folder / kind).mkdir(mode=0o700, exist_ok=True)
            for byte in range(256):
                (self._folder / "data" / f"{byte:02x}").mkdir(mode=0o700, exist_ok=True)

    def list(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Names and sizes; a file that vanishes meanwhile is left out."""
        top = self._folder / kind
        with self._told(f"list the folder {kind}"):
            folders = [top] if kind != "data" else sorted(each for each in top.iterdir() if len(each.name) == 2)
        for folder in folders:
            with self._told(f"list the folder {folder.name}"):
                found = list(os.scandir(folder))
            for entry in found:
                try:
                    yield entry.name, entry.stat().st_size
                except FileNotFoundError:
                    continue

    def read(self, kind: Kind, name: str, offset: int = 0, length: int = -1) -> bytes:
        """Reads by position."""
        with self._told(f"read {path(kind, name)}"), (self._folder / path(kind, name)).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def write(self, kind: Kind, name: str, content: bytes) -> None:
        """Writes beside and moves."""
        with self._told(f"write {path(kind, name)}"):
            self.scratch.mkdir(mode=0o700, exist_ok=True)
            number, beside = new_file(self.scratch)
            try:
                with open(number, "wb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    self._move(beside, kind, name)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise

    def put(self, kind: Kind, name: str, file: Path) -> None:
        """Moves a file of `scratch`."""
        with self._told(f"write {path(kind, name)}"):
            number = os.open(file, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
            self._move(file, kind, name)

    def local(self, kind: Kind, name: str) -> Path:
        """In the folder."""
        return self._folder / path(kind, name)

    def remove(self, kind: Kind, name: str) -> None:
        """Unlinks."""
        with self._told(f"remove {path(kind, name)}"):
            (self._folder / path(kind, name)).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is open."""

    def sweep(self) -> int:
        """What lies in `scratch`, but for files that are locked by their writers."""
        removed = 0
        for file in self.scratch.glob("*"):
            try:
                with file.open("rb") as opened:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file.unlink()
                removed += 1
            except OSError:
                continue
        return removed

    def _move(self, file: Path, kind: Kind, name: str) -> None:
        target = self._folder / path(kind, name)
        if kind == "config":
            os.link(file, target)  # unlike a rename, this refuses to replace
            file.unlink()
        else:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            file.chmod(0o600)
            file.rename(target)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise EngineError("exists", f"cannot {what} in {self._folder}: it exists already") from error
        except OSError as error:
            code = _CODES.get(error.errno or 0, "unreachable")
            why = (error.strerror or str(error)).lower()
            raise EngineError(code, f"cannot {what} in {self._folder}: {why}; {_NEXT[code]}") from error
