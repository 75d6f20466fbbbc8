"""A MySQL server for one dump: makes a data folder, loads the dump into it, and ends.

It runs as whoever owns the live data, with the options of the service, on a socket that nobody else may reach and on no
port. Neither events nor replication run in it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bhtui.agent.command import DEFAULT_PATH, Setting, run
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec

from . import standins
from .feeding import feed, kill

SERVERS, WRAPPERS = ("mariadbd", "mysqld"), ("mariadbd-safe", "mysqld_safe")
CLIENTS, MAKERS = ("mariadb", "mysql"), ("mariadb-install-db", "mysql_install_db")
OPENS = 120.0
"""Seconds for which the new server may take to answer, and to end."""
LOOK = 0.2
CLIENT = Setting({"PATH": DEFAULT_PATH})
SAID = 300
"""Characters of what a program complained of that are told."""
BIND = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
ALONE = (
    "--skip-networking", "--skip-log-bin", "--loose-skip-slave-start", "--loose-event-scheduler=OFF",
    "--loose-wsrep-on=OFF", "--innodb-flush-log-at-trx-commit=0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Making:
    """One data folder. `live` is where it is to be, `new` where it is made: it is not there yet."""

    service: ServiceSpec
    bin: str
    setting: Setting
    timeout: float
    live: Path
    new: Path
    dump: Path

    async def run(self, progress: Callable[[str], None]) -> None:
        """Raises BlackholeError; what was made is gone then."""
        setting = self._as_owner()
        with standins.told(f"make a data folder beside {self.live}"):
            await asyncio.to_thread(self._make_room, setting)
            room = Path(tempfile.mkdtemp(prefix="bh-my-", dir="/tmp"))
        try:
            with standins.told(f"give {room} to the server's user"):
                _give(room, setting)
            progress("making an empty data folder")
            place = await asyncio.to_thread(self._seen_at, room, setting)
            await self._initialise(setting, room, place)
            await self._load(setting, room, place, progress)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, self.new, True)
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, room, True)

    def _as_owner(self) -> Setting:
        """As whoever owns the live data; where that is lost, as the service's user."""
        if os.geteuid() != 0 or not self.live.exists():
            return self.setting
        found = self.live.stat()
        return replace(self.setting, uid=found.st_uid, gid=found.st_gid, groups=())

    def _make_room(self, setting: Setting) -> None:
        """The server's user gets to its own folder, and sees no other."""
        self.dump.chmod(0o600)
        self.new.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.new.parent, self.new.parent.parent):
            folder.chmod(0o711)
        shutil.rmtree(self.new, ignore_errors=True)
        self.new.mkdir(mode=0o700)
        _give(self.new, setting)
        if self.live.is_dir():
            standins.like(self.new, self.live)

    def _seen_at(self, room: Path, setting: Setting) -> Path:
        """Where its user sees the new folder: itself, or in `room` where it lies in what is the agent's alone."""
        if setting.uid in (None, os.geteuid()) or all(each.stat().st_mode & 0o001 for each in self.new.parents):
            return self.new
        place = room / "data"
        place.mkdir()
        return place

    def _as(self, setting: Setting, place: Path) -> list[str]:
        """What runs a program as that user, with the new folder in its place, and ends it with the agent."""
        apart = ["unshare", "--mount", "--", "sh", "-c", BIND, "sh", str(self.new), str(place)]
        person = [f"--reuid={setting.uid}", f"--regid={setting.gid}", "--clear-groups"]
        return [
            *(apart if place != self.new else []),
            *("setpriv", "--pdeathsig", "KILL"),
            *(person if setting.uid is not None else []),
            "--",
        ]

    def _options(self) -> tuple[list[str], list[str]]:
        """Which files with options are read, and the service's own options."""
        name = Path(self.service.command[0]).name if self.service.command else ""
        if name not in (*SERVERS, *WRAPPERS):
            return [], []
        given = [each for each in self.service.command[1:] if each.startswith("--")]
        files = [each for each in given if each.startswith(("--defaults", "--no-defaults"))]
        return files, [each for each in given if each not in files and not each.startswith("--user")]

    async def _initialise(self, setting: Setting, room: Path, place: Path) -> None:
        files, options = self._options()
        own = [*files, f"--datadir={place}"]
        try:
            maker = find(MAKERS, self.bin, "")
            argv = [str(maker), *own, "--skip-test-db", "--auth-root-authentication-method=normal"]
        except BlackholeError:  # MySQL's own server does it itself
            argv = [str(self._server()), *files, *options, own[-1], "--initialize-insecure"]
        mine = Setting(setting.env, str(room), umask=setting.umask)
        said = await run([*self._as(setting, place), *argv], mine, timeout=self.timeout)
        if not said.ok:
            wrong = [line for line in said.output.splitlines() if "ERROR" in line.upper()]
            raise BlackholeError(
                f"cannot make a data folder for {self.service.name}: {(wrong or [said.text])[0][:SAID]}"
            )

    def _server(self) -> Path:
        own = Path(self.service.command[0]) if self.service.command else Path()
        return own if own.name in SERVERS and own.is_file() else find(SERVERS, self.bin, "load the dump")

    async def _load(self, setting: Setting, room: Path, place: Path, progress: Callable[[str], None]) -> None:
        files, options = self._options()
        socket = room / "socket"
        argv = [
            str(self._server()), *files, *options, *ALONE, f"--datadir={place}", f"--socket={socket}",
            f"--pid-file={room}/pid", f"--log-error={room}/log",
        ]  # fmt: skip
        server = await _start([*self._as(setting, place), *argv], setting, room)
        try:
            client = [
                str(find(CLIENTS, self.bin, "load the dump")),
                "--no-defaults",
                f"--socket={socket}",
                "--user=root",
            ]
            await self._opened(client, server, room)
            async with asyncio.timeout(self.timeout):
                wrong = await feed([*client, "--binary-mode"], self.dump, CLIENT, "the dump", progress)
            if wrong:
                raise BlackholeError(f"cannot load the dump of {self.service.name}: {wrong}")
            await self._ended(server, room)
        except TimeoutError:
            raise BlackholeError(
                f"cannot load the dump of {self.service.name}: that took longer than {self.timeout:g} s; give "
                f"`backup.timeout` of {self.service.name} more"
            ) from None
        finally:
            await kill(server)

    async def _opened(self, client: Sequence[str], server: Process, room: Path) -> None:
        deadline = time.monotonic() + OPENS
        while not (await run([*client, "-e", "SELECT 1"], CLIENT, timeout=LOOK * 50)).ok:
            if server.returncode is not None or time.monotonic() > deadline:
                raise BlackholeError(f"cannot load the dump of {self.service.name}: its server {_why(room)}")
            await asyncio.sleep(LOOK)

    async def _ended(self, server: Process, room: Path) -> None:
        """It has written all and ended by itself."""
        server.send_signal(signal.SIGTERM)
        if await asyncio.wait_for(server.wait(), OPENS) != 0:
            raise BlackholeError(f"cannot load the dump of {self.service.name}: its server {_why(room)}")


def find(names: Sequence[str], folder: str, what: str) -> Path:
    """The first of these programs, in the folder that was named or else on the PATH. Raises BlackholeError."""
    folders = [folder] if folder else DEFAULT_PATH.split(":")
    for name in names:
        for each in folders:
            if (found := Path(each) / name).is_file():
                return found
    raise BlackholeError(f"cannot {what}: neither of {' and '.join(names)} is in {' '.join(folders)}")


def _give(folder: Path, setting: Setting) -> None:
    if setting.uid is not None:
        os.chown(folder, setting.uid, -1 if setting.gid is None else setting.gid)


async def _start(argv: Sequence[str], setting: Setting, room: Path) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=DEVNULL, stdout=DEVNULL, stderr=STDOUT,
            start_new_session=True, env=setting.env, cwd=str(room), umask=setting.umask,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise BlackholeError(f"cannot load the dump: {argv[0]} does not start: {error}") from None


def _why(room: Path) -> str:
    """The last error that the server wrote."""
    with suppress(OSError):
        lines = (room / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        wrong = [line for line in lines if "[ERROR]" in line] or lines
        if wrong:
            return f"did not work: {wrong[0][:SAID]}"
    return "did not answer, and wrote nothing"
