"""MySQL and MariaDB: a dump of one moment in place of the live data folder.

https://mariadb.com/kb/en/mariadb-dump/. `--single-transaction` reads all transactional tables as of one moment and
locks nothing. The dump is loaded again by `mariadb < NAME.sql` into an empty server.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bhtui.agent.command import DEFAULT_PATH
from bhtui.core.backup import MysqlBackup
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec

from ..model import Prepared, Stream, Work

PROGRAMS = ("mariadb-dump", "mysqldump")


class Mysql:
    """Dumps one server."""

    name = "dump MySQL"

    def __init__(self, service: ServiceSpec, spec: MysqlBackup) -> None:
        self._service, self._spec = service, spec

    async def before(self, work: Work) -> Prepared:  # noqa: ARG002
        """Raises BlackholeError when there is no program to dump with."""
        which = self._spec.databases
        server = [f"--socket={self._spec.socket}"] if self._spec.socket else []
        argv = (
            self._program(),
            # Must come first. The password is in the file, where no list of processes shows it.
            *([f"--defaults-extra-file={self._spec.defaults_file}"] if self._spec.defaults_file else []),
            *server,
            "--single-transaction", "--quick", "--routines", "--events", "--triggers",
            *(["--databases", *which] if which else ["--all-databases"]),
        )  # fmt: skip
        return Prepared(instead=(), streams=(Stream(f"/{self._service.name}.sql", argv),), note="dump of MySQL")

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:
        """Nothing is left."""

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:  # noqa: ARG002
        """Raises BlackholeError: a dump is loaded by a running server."""
        raise BlackholeError(
            f"the backup of {self._service.name} is a dump: restore it with --target DIR, and load it into an "
            f"empty server with `mariadb < DIR/{self._service.name}.sql`"
        )

    def _program(self) -> str:
        folders = [self._spec.bin] if self._spec.bin else DEFAULT_PATH.split(":")
        for name in PROGRAMS:
            for folder in folders:
                if (found := Path(folder) / name).is_file():
                    return str(found)
        raise BlackholeError(f"cannot dump MySQL: neither of {' and '.join(PROGRAMS)} is in {' '.join(folders)}")
