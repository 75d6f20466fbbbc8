"""A folder for what is not in the repository yet, gone with the run that made it, or else with the next one.

Modules that few runs need are imported where they are: a run that finds nothing new is mostly imports.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from ..errors import EngineError
from . import Storage

_PREFIX = "blackhole-run-"


class Scratch:
    """A folder of this run for as long as the `with` lasts: where the storage can move files from, if it can."""

    def __init__(self, storage: Storage) -> None:
        self._base = storage.scratch or temporary()
        self._path = Path()
        self._lock = -1

    def __enter__(self) -> Path:
        try:
            self._base.mkdir(mode=0o700, exist_ok=True)
            self._sweep()
            while not self._made():
                pass
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise EngineError(
                "permission", f"cannot make a folder in {self._base}: {why}; make room or rights there"
            ) from error
        return self._path

    def _made(self) -> bool:
        """Makes the folder and locks it; False when another run took it for a leftover in between."""
        self._path = self._base / (_PREFIX + os.urandom(8).hex())
        self._path.mkdir(mode=0o700)
        try:
            self._lock = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            return os.fstat(self._lock).st_ino == self._path.stat().st_ino
        except FileNotFoundError:
            return False

    def _sweep(self) -> None:
        """Removes the folders of runs that were killed: nobody holds their locks."""
        for left in self._base.glob(_PREFIX + "*"):
            try:
                lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(left)
            except OSError:
                continue
            finally:
                os.close(lock)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _remove(self._path)
        os.close(self._lock)


def new_file(folder: Path, prefix: str = "") -> tuple[int, Path]:
    """A new file that only its owner may read: its descriptor and path. Raises OSError."""
    path = folder / (prefix + os.urandom(8).hex())
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), path


def temporary() -> Path:
    """The folder of this host for temporary files."""
    import tempfile

    return Path(tempfile.gettempdir())


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # something is left in it, as seldom happens
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
