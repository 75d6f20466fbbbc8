"""One keeper per run directory and log directory, also after somebody emptied the run directory under it.

The locks are on the two directories themselves, beside the file with the pid: a cleaner of old files removes that file
and the socket, but a second keeper is refused all the same. What was removed is made again as soon as inotify(7) tells.
"""

from __future__ import annotations

import ctypes
import fcntl
import os

from bhtui.keeper import proc, server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bhtui.keeper.keeper import Keeper

AGAIN_S = 1.0
IN_MOVED_FROM, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x40, 0x200, 0x400, 0x800


class Taken(Exception):
    """Another process has the lock; the text names it."""


def lock_path(run_dir: str | os.PathLike[str]) -> str:
    """The file with the keeper's pid."""
    return os.path.join(run_dir, "keeper.lock")


def lock_folder(folder: str) -> int:
    """A descriptor of the directory with an exclusive lock. Raises BlockingIOError, OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    except OSError:
        return fd  # a file system that locks no directories; the file with the pid has to do
    return fd


def lock_file(path: str) -> int:
    """The locked file with this process's pid in it. Raises BlockingIOError, OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def claim(run_dir: str, log_dir: str) -> tuple[int, list[int]]:
    """The locked pid file and the locked directories. Raises Taken when a keeper lives there, OSError."""
    folders: list[int] = []
    try:
        for folder in _folders(run_dir, log_dir):
            folders += [lock_folder(folder)]
        return lock_file(lock_path(run_dir)), folders
    except OSError as error:
        for fd in folders:
            os.close(fd)
        if not isinstance(error, BlockingIOError):
            raise
        owners = " ".join(map(str, holders(lock_path(run_dir)))) or "unknown"
        raise Taken(f"a keeper runs there already: process {owners}") from None


def _folders(run_dir: str, log_dir: str) -> list[str]:
    return list(dict.fromkeys(map(os.path.realpath, (log_dir, run_dir))))


def holders(lock: str | os.PathLike[str]) -> list[int]:
    """Other processes of this user (root: of anybody) that have this lock file open, also when it has been removed."""
    names = {os.fsencode(lock), os.fsencode(lock) + b" (deleted)"}
    return [pid for pid in proc.scan() if pid != os.getpid() and _has_open(pid, names)]


def _has_open(pid: int, names: set[bytes]) -> bool:
    folder = b"/proc/%d/fd" % pid
    try:
        return any(_link(folder + b"/" + name) in names for name in os.listdir(folder))
    except OSError:
        return False


def _link(path: bytes) -> bytes:
    try:
        return os.readlink(path)
    except OSError:
        return b""


def removals(folder: str) -> int:
    """A descriptor that becomes readable when something was removed from the directory. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")
    if libc.inotify_add_watch(fd, os.fsencode(folder), IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, os.strerror(number), folder)
    return fd


def is_at(fd: int, path: str) -> bool:
    """Whether the open file is what the path leads to."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


class Places:
    """Keeps a keeper's socket, pid file and locks where they belong."""

    def __init__(self, keeper: Keeper, folders: list[int]) -> None:
        self.folders = folders
        self._keeper = keeper
        self._inotify = -1
        self._told = ""

    def watch(self) -> None:
        """Mends what is missing, now and after each removal; what cannot be mended or watched is tried again later."""
        keeper = self._keeper
        if self._inotify >= 0:
            keeper.loop.unwatch(self._inotify)
            os.close(self._inotify)
            self._inotify = -1
        try:
            os.makedirs(keeper.run_dir, mode=0o700, exist_ok=True)
            self._inotify = removals(keeper.run_dir)  # first, so that no removal is missed
            keeper.loop.watch(self._inotify, self.watch)
        except OSError as error:
            self._later(error)
        try:
            self._mend()
        except OSError as error:
            self._later(error)

    def _later(self, error: OSError) -> None:
        if str(error) != self._told:
            self._told = str(error)
            self._keeper.note(f"cannot keep {self._keeper.run_dir} in order, trying again: {error}")
        self._keeper.loop.later(AGAIN_S, self.watch)

    def _mend(self) -> None:
        keeper = self._keeper
        for number, folder in enumerate(_folders(keeper.run_dir, keeper.log_dir)):
            if number >= len(self.folders) or not is_at(self.folders[number], folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
                self._lock_again(number, lock_folder(folder))
        if not is_at(keeper.lock, lock_path(keeper.run_dir)):
            fresh = lock_file(lock_path(keeper.run_dir))
            os.close(keeper.lock)
            keeper.lock = fresh
        sock = os.path.join(keeper.run_dir, "keeper.sock")
        if not os.path.lexists(sock):
            keeper.server.listen_at(server.listen(sock))
            keeper.note("somebody removed the socket, it was made again")
        if keeper.is_held and not os.path.exists(keeper.hold_path):
            keeper.hold()
            keeper.note("somebody removed the mark of an emergency stop, which holds on")

    def _lock_again(self, number: int, fd: int) -> None:
        if number < len(self.folders):
            os.close(self.folders[number])
            self.folders[number] = fd
        else:
            self.folders.append(fd)
