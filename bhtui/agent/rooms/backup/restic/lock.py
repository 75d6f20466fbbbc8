"""Locks: files that say who works on a repository. (Design, "Locks".)

A shared one is taken to read and to add, an exclusive one to remove. A lock is renewed every five minutes; one that was
not for thirty, or whose process on this host is gone, is stale and does not count.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from . import gotime, keyfile
from .errors import EngineError
from .repository import Repository
from .storage import is_local

RENEW = 300.0
"""Seconds between two renewals."""
STALE_NS = 30 * 60 * gotime.BILLION
SETTLE = 0.2
"""Seconds after which the locks of a storage far away are read once more: it may list a new one late.

A folder of this host lists at once what was written. Each of two that store a lock and then look cannot miss the
other: who stored last sees the first, unless that is done, and then what is read now is what it left.
"""


@dataclass(frozen=True, slots=True)
class LockInfo:
    """What a lock says."""

    id: str
    time_ns: int
    exclusive: bool
    hostname: str
    username: str
    pid: int

    def is_stale(self, now_ns: int) -> bool:
        """Whether nobody stands behind it any more."""
        if now_ns - self.time_ns > STALE_NS:
            return True
        if self.hostname != socket.gethostname() or self.pid == os.getpid():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def __str__(self) -> str:
        how = "exclusively" if self.exclusive else "shared"
        return f"{self.username}@{self.hostname}, process {self.pid}, {how}, renewed {gotime.text(self.time_ns)}"


def locks(repository: Repository) -> list[LockInfo]:
    """All that can be read; one that is damaged or just vanished is left out."""
    found: list[LockInfo] = []
    for name, _ in list(repository.storage.list("locks")):
        try:
            said = repository.load("locks", name)
            found.append(
                LockInfo(
                    name,
                    gotime.parse(said["time"]),
                    bool(said.get("exclusive")),
                    str(said.get("hostname", "")),
                    str(said.get("username", "")),
                    int(said.get("pid", 0)),
                )
            )
        except EngineError as error:
            if error.code not in ("not_found", "damaged"):
                raise
        except (KeyError, ValueError, TypeError):
            continue
    return found


def unlock(repository: Repository, everyone: bool, now_ns: int) -> list[LockInfo]:
    """Removes stale locks, or all of them; which."""
    doomed = [one for one in locks(repository) if everyone or one.is_stale(now_ns)]
    for one in doomed:
        repository.storage.remove("locks", one.id)
    return doomed


class Lock:
    """Held for as long as the `with` lasts. Raises EngineError: locked.

    `wait` is how many seconds to try again while another holds it; `meanwhile` is called while the locks settle, at
    each try, and may read but not write: loading the index costs no time then. Stale locks are removed, also those that
    are in nobody's way here (stock restic minds them), and told to `removed`.
    """

    def __init__(
        self,
        repository: Repository,
        exclusive: bool,
        wait: float = 0.0,
        now_ns: Callable[[], int] = time.time_ns,
        settle: float | None = None,
        meanwhile: Callable[[], object] = lambda: None,
        removed: Callable[[LockInfo], object] = lambda _: None,
    ) -> None:
        self._repository, self._exclusive, self._wait = repository, exclusive, wait
        self._settle = settle if settle is not None else 0.0 if is_local(repository.storage) else SETTLE
        self._now_ns, self._meanwhile, self._removed = now_ns, meanwhile, removed
        self._id = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lock", daemon=True)
        self.lost: EngineError | None = None
        """Why the lock could not be renewed for so long that others may take it for stale; None: it holds."""

    def __enter__(self) -> Lock:
        deadline = time.monotonic() + self._wait
        while True:
            try:
                self._take()
                break
            except EngineError as error:
                if error.code != "locked" or time.monotonic() >= deadline:
                    raise
                time.sleep(min(1.0, max(deadline - time.monotonic(), 0.01)))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._repository.storage.remove("locks", self._id)

    def check(self) -> None:
        """Raises EngineError when the lock is lost: call it before anything is removed."""
        if self.lost:
            raise EngineError("locked", f"cannot go on: the lock could not be renewed ({self.lost}); try again")

    def _take(self) -> None:
        self._refuse_conflicts()
        self._id = self._store()
        try:
            settled = time.monotonic() + self._settle
            self._refuse_conflicts()
            self._meanwhile()
            if self._settle:
                time.sleep(max(settled - time.monotonic(), 0))
                self._refuse_conflicts()
        except BaseException:
            self._repository.storage.remove("locks", self._id)
            raise

    def _refuse_conflicts(self) -> None:
        for one in locks(self._repository):
            if one.id == self._id:
                continue
            if one.is_stale(self._now_ns()):
                self._repository.storage.remove("locks", one.id)
                self._removed(one)
                continue
            if not (self._exclusive or one.exclusive):
                continue
            raise EngineError(
                "locked", f"cannot use the repository at {self._repository.storage.place}: it is in use by {one}; "
                "wait for it, or, when it is gone, `blackhole backup repo unlock`",
            )  # fmt: skip

    def _store(self) -> str:
        said = {
            "time": gotime.text(self._now_ns()),
            "exclusive": self._exclusive,
            "hostname": socket.gethostname(),
            "username": keyfile.username(),
            "pid": os.getpid(),
            "uid": os.getuid(),
            "gid": os.getgid(),
        }
        return self._repository.save(
            "locks", {key: value for key, value in said.items() if value != 0 or key == "exclusive"}
        )

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(RENEW):
            try:
                new = self._store()
                old, self._id = self._id, new
                self._repository.storage.remove("locks", old)
                renewed, self.lost = time.monotonic(), None
            except EngineError as error:
                if time.monotonic() - renewed > STALE_NS / gotime.BILLION - 2 * RENEW:
                    self.lost = error
