"""The captured files of each instance in the order in which they are read, shared by all outputs.

One thread looks at the paths and hands new files to every output that wants them; what is held open stays readable
after rotation renamed or removed it. A removed file is let go after GRACE_SECONDS, read or not: the disk it takes is
bounded, and the outputs that had not read it count what they lost.
"""

from __future__ import annotations

import logging
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import cri, files
from ..files import LogFile

log = logging.getLogger(__name__)

GRACE_SECONDS = 30.0
_HEAD = 256


class Held:
    """One file, open for as long as somebody uses it. `size` is how long it was when last looked at."""

    def __init__(self, fd: int, path: str) -> None:
        self.fd, self.path = fd, path
        found = os.fstat(fd)
        self.ino, self.size = found.st_ino, found.st_size
        self.removed_at = 0.0
        """Monotonic seconds when it was seen to be removed; 0: it is there."""
        self._head = b""
        self._users = 0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return os.path.basename(self.path)  # noqa: PTH119 - once a line of the cursor

    @property
    def head(self) -> str:
        """What tells this file from any other, also one that was given its inode later; empty while it is empty.

        The time of the first line in nanoseconds is nearly enough, as no two files of an instance begin at the same.
        """
        if not self._head:
            start = os.pread(self.fd, _HEAD, 0)
            if b"\n" not in start and len(start) < _HEAD:
                return ""
            self._head = start.partition(b"\n")[0]
        return _headline(self._head)

    def begins_anew(self) -> bool:
        """Whether somebody has emptied the file since it was first looked at, and perhaps filled it again."""
        before, self._head = self._head, b""
        return bool(before) and self.head != _headline(before)

    def use(self) -> Held:
        """One user more."""
        with self._lock:
            self._users += 1
        return self

    def leave(self) -> None:
        """One user less; the last one closes it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                os.close(self.fd)

    def is_over(self, now: float) -> bool:
        """Whether it was removed too long ago to be read on."""
        return self.removed_at > 0 and now - self.removed_at > GRACE_SECONDS


def _headline(first: bytes) -> str:
    stamp = first[: cri.STAMP_LENGTH].decode("ascii", "replace")
    return f"{stamp} {zlib.crc32(first):08x}"


class Chain:
    """The files of one instance, from the oldest that was there when it was first looked at; used by one thread."""

    def __init__(self, service: str, instance: str, path: Path, follow: Callable[[Held], None]) -> None:
        self.service, self.instance, self.path = service, instance, path
        self.known: frozenset[str] = frozenset()
        """Names of the rotated files that were seen, so far as they are there."""
        self._follow = follow
        self._active: Held | None = None
        self._rotated: list[Held] = []

    def begin(self) -> list[Held]:
        """Everything that is there, oldest first, each used once: whoever takes the list leaves them."""
        seen = files.survey(self.path)
        self.known = frozenset(_name(file) for file in seen.rotated)
        found = [held for file in seen.rotated if (held := _open(file)) is not None]
        if seen.active is not None and seen.active.fd is not None:
            self._active = Held(seen.active.fd, seen.active.path).use()
            found.append(self._active)
        self._rotated = [each.use() for each in found if each is not self._active]
        return [each.use() for each in found]

    def close(self) -> None:
        """Leaves every file."""
        for held in [*self._rotated, *([self._active] if self._active else [])]:
            held.leave()
        self._rotated, self._active = [], None

    def look(self) -> bool:
        """Whether something was written or rotated since the last time. Raises OSError."""
        try:
            there = self.path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        if self._active is not None and there.st_ino == self._active.ino:
            grown = there.st_size != self._active.size
            self._active.size = there.st_size
            return grown
        self._go_on()
        return True

    def _go_on(self) -> None:
        """The path has another file: hands on what was rotated meanwhile, then the new active one."""
        seen = files.survey(self.path)
        fresh = [file for file in seen.rotated if _name(file) not in self.known]
        if self._active is not None:
            self._active.size = os.fstat(self._active.fd).st_size
            self._rotated.append(self._active)
        for file in fresh:
            if (held := _open(file)) is None:
                continue
            if self._active is not None and held.ino == self._active.ino:
                self._active.path = file.path
                held.use().leave()
            else:
                self._rotated.append(held.use())
                self._follow(held)
        self._active = None
        if seen.active is not None and seen.active.fd is not None:
            self._active = Held(seen.active.fd, seen.active.path).use()
            self._follow(self._active)
        # Last: a place that is kept meanwhile must not say that a file is done which nobody has been given yet.
        self.known = frozenset(_name(file) for file in seen.rotated)

    def look_at_removed(self, now: float) -> None:
        """Marks what rotation has removed, and leaves what nobody else uses."""
        kept = []
        for held in self._rotated:
            if not held.removed_at and os.fstat(held.fd).st_nlink == 0:
                held.removed_at = now
            if held._users > 1:
                kept.append(held)
            else:
                held.leave()
        self._rotated = kept


def _name(file: LogFile) -> str:
    return os.path.basename(file.path)  # noqa: PTH119 - many at once


def _open(file: LogFile) -> Held | None:
    try:
        return Held(os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), file.path)
    except FileNotFoundError:  # removed since it was listed
        return None
    except OSError as error:
        log.warning("cannot read %s: %s; its lines are not sent", file.path, error.strerror)
        return None


def find(held: Sequence[Held], ino: int, head: str) -> int:
    """The place of the file that a cursor means, or -1. An inode alone may be that of a later file."""
    for index, each in enumerate(held):
        if head and each.head == head:
            return index
    if not head:
        return next((index for index, each in enumerate(held) if each.ino == ino), -1)
    return -1
