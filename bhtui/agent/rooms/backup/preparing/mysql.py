"""MySQL and MariaDB: a dump of one moment in place of the live data folder, and a data folder made of a dump.

https://mariadb.com/kb/en/mariadb-dump/. `--single-transaction` reads all transactional tables as of one moment and
locks nothing. A restore makes a new data folder beside the live one: a server of its own, which nobody else reaches,
loads the dump into it and ends, while the service still runs. What cannot be loaded is found out before anything is
stopped, and the way back is the data folder from before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.agent.command import Here
from bhtui.core.backup import MysqlBackup
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec

from ..model import Prepared, Stream, Work
from . import mysqlserver

PROGRAMS = ("mariadb-dump", "mysqldump")
SYSTEM = ("mysql", "ibdata1")
"""What every data folder has."""


class Mysql:
    """Dumps one server."""

    name = "dump MySQL"

    def __init__(self, service: ServiceSpec, spec: MysqlBackup, timeout: float, here: Here) -> None:
        self._service, self._spec, self._timeout, self._here = service, spec, timeout, here

    @property
    def _dump(self) -> str:
        """Where the dump stands in a snapshot."""
        return f"/{self._service.name}.sql"

    async def before(self, work: Work) -> Prepared:
        """Raises BlackholeError when there is no program to dump with."""
        which = self._spec.databases
        server = [f"--socket={self._spec.socket}"] if self._spec.socket else []
        argv = (
            str(mysqlserver.find(PROGRAMS, self._spec.bin, "dump MySQL")),
            # Must come first. The password is in the file, where no list of processes shows it.
            *([f"--defaults-extra-file={self._spec.defaults_file}"] if self._spec.defaults_file else []),
            *server,
            "--single-transaction", "--quick", "--routines", "--events", "--triggers",
            *(["--databases", *which] if which else ["--all-databases"]),
        )  # fmt: skip
        others = tuple(path for path in work.paths if path != _folder(work.paths))
        return Prepared(instead=others, streams=(Stream(self._dump, argv),), note="dump of MySQL")

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:
        """Nothing is left."""

    def makes(self, data: Sequence[str], held: Sequence[str]) -> Mapping[str, str]:
        """Its data folder, of the dump. Raises BlackholeError when that does not hold all that is in the folder."""
        if self._dump not in held:
            return {}
        if self._spec.databases:
            only = " and ".join(self._spec.databases)
            raise BlackholeError(
                f"cannot restore {self._service.name} in place: its dump holds only {only} and not its accounts; "
                f"`--target DIR` brings the dump, and `mariadb < DIR{self._dump}` loads it into the server as it runs"
            )
        return {_folder(data): self._dump}

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:  # noqa: ARG002
        """Loads the dump into a new data folder. Raises BlackholeError."""
        dump = staged.get(self._dump)
        if dump is None or self._spec.databases:
            raise BlackholeError(f"there is no dump of all databases of {self._service.name} in the backup")
        live = _folder(work.paths)
        making = mysqlserver.Making(
            self._service, self._spec.bin, await self._here(), self._timeout, Path(live), Path(staged[live]), Path(dump)
        )
        await making.run(work.progress)
        await asyncio.to_thread(Path(dump).unlink)


def _folder(paths: Sequence[str]) -> str:
    """Which of a service's data is the server's; when all of it is lost, the first."""
    return next((each for each in paths if any((Path(each) / name).exists() for name in SYSTEM)), paths[0])
