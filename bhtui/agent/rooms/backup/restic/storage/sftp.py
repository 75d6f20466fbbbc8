"""A repository in a folder of another host, through SSH's own client and its SFTP subsystem.

The client is the host's `ssh`, so keys, jump hosts and known hosts are as its administrator has set them; a host that
is not known is refused. Over its pipes goes SFTP version 3, with OpenSSH's extensions for an atomic rename, fsync and
free space. https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
https://github.com/openssh/openssh-portable/blob/master/PROTOCOL
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..errors import EngineError
from . import KINDS, Kind, path
from .sftpsession import BAD_MESSAGE, NO_SUCH_FILE, PERMISSION_DENIED, Lost, Session, Status


class Sftp:
    """Files of a folder there, each written beside, synced, and moved to its name. It connects when it must."""

    def __init__(
        self,
        host: str,
        folder: str,
        user: str = "",
        port: int = 22,
        identity_file: str = "",
        options: tuple[str, ...] = (),
    ) -> None:
        self._host, self._folder, self._user = host, PurePosixPath(folder), user
        self._argv = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=15"]
        self._argv += ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", *options]
        self._argv += ["-p", str(port)] if port != 22 else []
        self._argv += ["-i", identity_file] if identity_file else []
        self._argv += ["-l", user] if user else []
        self._argv += ["-s", "--", host, "sftp"]
        self._session: Session | None = None
        self._connecting = threading.Lock()

    @property
    def place(self) -> str:
        """As stock restic names it."""
        return f"sftp:{self._user + '@' if self._user else ''}{self._host}:{self._folder}"

    @property
    def scratch(self) -> None:
        """Files are copied from anywhere."""
        return

    def create(self) -> None:
        """Makes the folders; only their owner may look inside."""
        with self._told("make the folder"):
            for each in (*reversed(self._folder.parents), self._folder):
                if str(each) not in ("/", "."):
                    self._make(each)
            for kind in (*KINDS, "tmp"):
                self._make(self._folder / kind)

    def list(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Folder by folder."""
        with self._told(f"list the folder {kind}"):
            top = self._folder / kind
            folders = [top]
            if kind == "data":
                folders = [top / name for name, mode, _ in self._open.entries(str(top)) if stat.S_ISDIR(mode)]
            for folder in sorted(folders):
                for name, mode, size in self._open.entries(str(folder)):
                    if stat.S_ISREG(mode):
                        yield name, size

    def read(self, kind: Kind, name: str, offset: int = 0, length: int = -1) -> bytes:
        """In parts that are under way together."""
        with self._told(f"read {path(kind, name)}"):
            return self._open.read(str(self._folder / path(kind, name)), offset, length)

    def write(self, kind: Kind, name: str, content: bytes) -> None:
        """Beside, then moved."""
        with self._told(f"write {path(kind, name)}"):
            self._write(kind, name, [content])

    def put(self, kind: Kind, name: str, file: Path) -> None:
        """Beside, then moved."""
        with self._told(f"write {path(kind, name)}"), file.open("rb") as opened:
            self._write(kind, name, iter(lambda: opened.read(1 << 20), b""))
        file.unlink(missing_ok=True)

    def local(self, kind: Kind, name: str) -> None:
        """Nothing is here."""

    def remove(self, kind: Kind, name: str) -> None:
        """One request."""
        with self._told(f"remove {path(kind, name)}"):
            try:
                self._open.remove(str(self._folder / path(kind, name)))
            except Status as status:
                if status.code != NO_SUCH_FILE:
                    raise

    def sweep(self) -> int:
        """What lies in `tmp`."""
        with self._told("list the folder tmp"):
            names = [name for name, mode, _ in self._open.entries(str(self._folder / "tmp")) if stat.S_ISREG(mode)]
            for name in names:
                self._open.try_remove(str(self._folder / "tmp" / name))
        return len(names)

    def close(self) -> None:
        """Ends the connection."""
        if self._session:
            self._session.close()

    @property
    def _open(self) -> Session:
        """The connection; a new one when the last is lost. Raises Lost."""
        with self._connecting:
            if self._session is None or self._session.is_lost:
                if self._session:
                    self._session.close()
                self._session = Session(self._argv)
            return self._session

    def _make(self, folder: PurePosixPath) -> None:
        session = self._open
        try:
            session.mkdir(str(folder), 0o700)
        except Status:
            if not session.is_folder(str(folder)):
                raise

    def _write(self, kind: Kind, name: str, parts: Iterable[bytes]) -> None:
        session = self._open
        beside = str(self._folder / "tmp" / os.urandom(8).hex())
        target = self._folder / path(kind, name)
        try:
            session.write(beside, parts)
            if kind == "config":
                session.rename(beside, str(target))  # unlike the other, this refuses to replace
                return
            try:
                session.replace(beside, str(target))
            except Status as status:
                if status.code != NO_SUCH_FILE:
                    raise
                self._make(target.parent)
                session.replace(beside, str(target))
        except Status:
            session.try_remove(beside)
            raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except Lost as error:
            raise self._lost(what, str(error)) from error
        except Status as error:
            raise self._explained(what, error) from error
        except OSError as error:
            raise EngineError("unreachable", f"cannot {what} at {self.place}: {error.strerror or error}") from error

    def _lost(self, what: str, why: str) -> EngineError:
        """What another try will not mend is told apart from what it may."""
        begin = f"cannot {what} at {self.place}: {why}"
        if "Host key verification failed" in why:
            hint = f"run `ssh {self._host}` once as the agent's user, and check its key"
            return EngineError("refused", f"{begin}; {hint}")
        if "Permission denied (" in why:
            return EngineError("permission", f"{begin}; check `backup.storage.user` and `identity_file`")
        return EngineError("unreachable", begin)

    def _explained(self, what: str, status: Status) -> EngineError:
        begin = f"cannot {what} at {self.place}"
        if status.code == NO_SUCH_FILE:
            return EngineError("not_found", f"{begin}: it is not there; check `backup.storage.path`")
        if status.code == PERMISSION_DENIED:
            return EngineError("permission", f"{begin}: {self._user or 'this user'} may not; change its rights there")
        if status.code == BAD_MESSAGE:
            return EngineError("unreachable", f"{begin}: the answer is not SFTP; does the login print something?")
        if what.startswith("write") and self._session and self._session.free_bytes(str(self._folder)) == 0:
            return EngineError("no_space", f"{begin}: the disk there is full; free space, or prune")
        return EngineError("refused", f"{begin}: the other side says {status.message or 'failure'!r}")
