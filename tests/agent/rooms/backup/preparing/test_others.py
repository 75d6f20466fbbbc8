"""Commands, the platform's contract, dumps of MySQL, and which of all a service gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.agent.command import DEFAULT_PATH, Setting
from bhtui.agent.rooms.backup.preparing.choosing import choose
from bhtui.agent.rooms.backup.preparing.hooks import Hooks
from bhtui.agent.rooms.backup.preparing.mysql import Mysql
from bhtui.core.backup import MysqlBackup, PostgresqlBackup, RedisBackup, ServiceBackup
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec

from .taking import work

SERVICE = ServiceSpec("shop", ("true",))


async def here() -> Setting:
    return Setting({"PATH": DEFAULT_PATH})


async def test_commands_run_before_and_after_and_are_told_how_it_ended(tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f"echo $0 $BLACKHOLE_BACKUP_TYPE $BLACKHOLE_BACKUP_RESULT >> {said}"
    hooks = Hooks(("sh", "-c", script, "before"), ("sh", "-c", script, "after"), 10.0, here)
    assert hooks.name == "run its commands before and after"
    job = work(SERVICE, tmp_path)
    await hooks.before(job)
    await hooks.after(job, {}, True)
    await hooks.after(job, {}, False)
    assert said.read_text().split("\n")[:3] == ["before full", "after full success", "after full failure"]


async def test_a_command_that_fails_or_hangs_fails_the_backup(tmp_path: Path) -> None:
    with pytest.raises(BlackholeError, match=r"`backup.before` of shop failed: exit 3: no space"):
        await Hooks(("sh", "-c", "echo no space; exit 3"), (), 10.0, here).before(work(SERVICE, tmp_path))
    with pytest.raises(BlackholeError, match="no answer within"):
        await Hooks(("sleep", "30"), (), 0.2, here).before(work(SERVICE, tmp_path))


async def test_mysql_is_dumped_without_a_password_in_sight(tmp_path: Path) -> None:
    program = tmp_path / "mysqldump"
    program.write_text("#!/bin/sh\necho dumped\n")
    program.chmod(0o755)
    spec = MysqlBackup(defaults_file="/etc/secret.cnf", socket="/run/my.sock", databases=("a",), bin=str(tmp_path))
    prepared = await Mysql(SERVICE, spec, 60.0, here).before(work(SERVICE, tmp_path))
    (stream,) = prepared.streams
    assert (stream.path, prepared.instead) == ("/shop.sql", ())
    assert stream.command[:3] == (str(program), "--defaults-extra-file=/etc/secret.cnf", "--socket=/run/my.sock")
    assert stream.command[-2:] == ("--databases", "a")
    with pytest.raises(BlackholeError, match="cannot dump MySQL"):
        await Mysql(SERVICE, MysqlBackup(bin=str(tmp_path / "nowhere")), 60.0, here).before(work(SERVICE, tmp_path))
    with pytest.raises(BlackholeError, match="its dump holds only a"):
        Mysql(SERVICE, spec, 60.0, here).makes([str(tmp_path)], ["/shop.sql"])
    assert Mysql(SERVICE, MysqlBackup(), 60.0, here).makes([str(tmp_path)], ["/shop.sql"]) == {
        str(tmp_path): "/shop.sql"
    }


@pytest.mark.parametrize(
    ("backup", "contract", "kinds"),
    [
        (ServiceBackup(), "", ["Sqlite"]),
        (ServiceBackup(sqlite=False), "", []),
        (ServiceBackup(), "127.0.0.1:1", ["Contract"]),
        (ServiceBackup(before=("true",), redis=RedisBackup("a:1")), "", ["Hooks", "Redis", "Sqlite"]),
        (ServiceBackup(postgresql=PostgresqlBackup()), "", ["Postgresql"]),
        (ServiceBackup(mysql=MysqlBackup()), "", ["Mysql"]),
    ],
)
def test_each_service_gets_what_it_needs(backup: ServiceBackup, contract: str, kinds: list[str]) -> None:
    service = ServiceSpec("shop", ("true",), backup=backup, contract=contract)
    assert [type(one).__name__ for one in choose(service, lambda _: here)] == kinds
