"""What the room makes of requests, over a stand-in of the engine."""

import json
import os
import stat
import time

import pytest

from bhtui.agent.rooms.backup import sources
from bhtui.agent.rooms.backup.failures import NoSpace, Unreachable, WrongPassword
from bhtui.agent.rooms.backup.model import Prepared, Stream
from bhtui.core.backup import Promise, Retention, StorageSpec
from bhtui.core.errors import BlackholeError, NotFound, Refused, UsageError
from bhtui.core.request import (
    CreateBackupRequest,
    ForgetBackupsRequest,
    PruneBackupsRequest,
    RepositoryKeyRequest,
    RepositoryRequest,
    RestoreBackupRequest,
    VerifyBackupsRequest,
)
from bhtui.core.spec import ServiceSpec

from .rooms import OPERATION, drive, read, rig, write

SECOND = 1_000_000_000


@pytest.fixture
def made(tmp_path):
    with rig(tmp_path) as found:
        yield found


def misbehave(made, **orders):
    (made.repository / "misbehave").write_text(json.dumps(orders))


# ---- making ------------------------------------------------------------------------------------------------------


async def test_each_service_is_a_snapshot_of_one_run_with_its_tags(made):
    made.service("db", {"a": "1", "b": "22"})
    made.service("api", {"c": "3"})
    details = await made.carry_out(CreateBackupRequest(type="full"))
    assert details[0].startswith("made a new repository at ")
    found = await made.room.list()
    assert {each.services: (each.type, each.bytes_total, each.files, each.host) for each in found.snapshots} == {
        ("db",): ("full", 3, 2, "h"),
        ("api",): ("full", 1, 1, "h"),
    }
    assert {each.run for each in found.snapshots} == {OPERATION[:12]}
    assert sorted(found.snapshots[0].tags) == [f"run:{OPERATION[:12]}", "service:api", "type:full"]
    assert made.events.kinds() == [("backup.made", "db"), ("backup.made", "api")]
    assert [(each.service, each.late, bool(each.last_good_ns)) for each in found.services] == [
        ("db", False, True), ("api", False, True),
    ]  # fmt: skip


async def test_an_incremental_one_begins_from_the_newest_and_a_full_one_reads_all(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest(), "a" * 32)
    first = (await made.room.list()).snapshots[0]
    await made.carry_out(CreateBackupRequest(), "b" * 32)
    assert (await made.room.list()).snapshots[0].parent == first.id
    await made.carry_out(CreateBackupRequest(type="full"), "c" * 32)
    newest = (await made.room.list()).snapshots[0]
    told = json.loads((made.repository / "snapshots" / newest.id).read_text())
    assert (told["parent"], told["force"]) == (None, True)


async def test_done_again_after_a_crash_it_makes_no_second_snapshot(made):
    made.service("db", {"a": "1"})
    plan = await made.plan(CreateBackupRequest())
    await drive(made.kinds()["backup.open"], plan.steps[0])
    await drive(made.kinds()["backup.take"], plan.steps[1])
    made.room.catalog.replace(str(made.repository), (), 1)  # the crash came before it was written down
    call_late = made.kinds()["backup.take"]
    from bhtui.agent.journal.model import Call

    again = await call_late.do(Call(OPERATION, "db", plan.steps[1].args, {}, 30.0, lambda _: None))
    assert "before the agent was restarted" in again.detail
    assert len((await made.room.list()).snapshots) == 1


async def test_one_that_fails_fails_alone_and_is_told(made):
    made.service("db", {"a": "1"})
    lost = made.service("api", {"c": "3"})
    os.rename(lost, made.folder / "elsewhere")
    plan = await made.plan(CreateBackupRequest())
    await drive(made.kinds()["backup.open"], plan.steps[0])
    await drive(made.kinds()["backup.take"], plan.steps[1])
    with pytest.raises(BlackholeError, match="it is not there"):
        await drive(made.kinds()["backup.take"], plan.steps[2])
    assert made.events.kinds()[-1] == ("backup.failed", "api")
    [db, api] = made.room.protection()
    assert (db.error, bool(db.last_ns)) == ("", True)
    assert "it is not there" in api.error
    os.rename(made.folder / "elsewhere", lost)
    await made.carry_out(CreateBackupRequest(("api",)), "b" * 32)
    assert made.room.protection()[1].error == ""


async def test_a_clock_that_was_lost_makes_no_backup_that_would_count_as_an_old_one(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    made.now_ns = time.time_ns() - 1800 * SECOND
    await made.carry_out(CreateBackupRequest(), "b" * 32)  # a clock that is a little late is set right every day
    made.now_ns = SECOND
    with pytest.raises(Refused, match="the clock of this host says 1970-01-01T00:00:01Z, and its newest backup"):
        await made.carry_out(CreateBackupRequest(), "c" * 32)
    assert made.events.kinds()[-1] == ("backup.failed", "db")
    made.now_ns = 0
    assert len((await made.room.list()).snapshots) == 2


async def test_what_prepares_a_service_comes_before_and_lets_go_after(made):
    told = []

    class Dump:
        name = "dump"

        async def before(self, work):
            told.append(("before", work.service.name, work.paths))
            return Prepared(excludes=("*.wal",), tags=("dump:1",), learned={"x": 1}, note="dumped")

        async def after(self, work, learned, good):
            told.append(("after", dict(learned), good))

        async def restored(self, work, staged, before_ns):
            told.append(("restored", sorted(staged)))

    path = made.service("db", {"a": "1"})
    made.room.preparations = lambda service: (Dump(),)
    plan = await made.plan(CreateBackupRequest())
    assert "dump first" in plan.steps[1].title
    await made.carry_out(CreateBackupRequest())
    assert told == [("before", "db", (str(path),)), ("after", {"x": 1}, True)]
    newest = (await made.room.list()).snapshots[0]
    assert "dump:1" in newest.tags
    assert "*.wal" in json.loads((made.repository / "snapshots" / newest.id).read_text())["excludes"]
    assert "dumped" in made.events.told[-1][2]
    await made.carry_out(RestoreBackupRequest(services=("db",)), "b" * 32)
    assert told[-1] == ("restored", [str(path)])


async def test_a_preparation_that_fails_fails_the_backup_and_is_let_go(made):
    told = []

    class Bad:
        name = "bad"

        async def before(self, work):
            raise BlackholeError("cannot dump db: it does not answer; start it")

        async def after(self, work, learned, good):
            told.append((dict(learned), good))

        async def restored(self, work, staged, before_ns): ...

    made.service("db", {"a": "1"})
    made.room.preparations = lambda service: (Bad(),)
    with pytest.raises(BlackholeError, match="it does not answer"):
        await made.carry_out(CreateBackupRequest())
    assert told == [({}, False)]
    assert (await made.room.list()).snapshots == ()
    assert Stream("/x", ("y",)).env == {}


@pytest.mark.parametrize(
    ("services", "request_", "kind", "text"),
    [
        ({}, CreateBackupRequest(), UsageError, "no service declares its data"),
        ({"db": "1"}, CreateBackupRequest(("web",)), NotFound, "no such service; there are db"),
        ({"db": "1"}, CreateBackupRequest(type="half"), UsageError, "it is full or incremental"),
        ({"db": "1"}, CreateBackupRequest(repository="x"), UsageError, "must begin with /"),
        ({"db": "1"}, RepositoryRequest("burn"), UsageError, "it is init or unlock"),
        ({"db": "1"}, RepositoryKeyRequest("add"), UsageError, "--new-password-file"),
        ({"db": "1"}, RepositoryKeyRequest("remove"), UsageError, "name its key"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_anything(made, services, request_, kind, text):
    for name, content in services.items():
        made.service(name, {"a": content})
    with pytest.raises(kind, match=text):
        await made.plan(request_)
    assert not made.repository.exists()


async def test_without_a_repository_or_password_it_is_said_what_to_write(tmp_path):
    with rig(tmp_path, password="") as made:
        made.service("db", {"a": "1"})
        with pytest.raises(UsageError, match="repo init --generate-password"):
            await made.plan(CreateBackupRequest())
        made.backup(storage=None)
        with pytest.raises(UsageError, match="none is configured"):
            await made.plan(CreateBackupRequest())
        assert "no repository is configured" in (await made.room.list()).hint


async def test_a_wrong_password_is_no_missing_repository(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    made.room.repositories._environ = {"BLACKHOLE_BACKUP_PASSWORD": "other"}
    with pytest.raises(WrongPassword):
        await made.carry_out(CreateBackupRequest(), "b" * 32)
    assert made.events.kinds()[-1] == ("backup.failed", "db")
    assert "the password is wrong" in made.room.protection()[0].error
    found = await made.room.list()
    assert "the password is wrong" in found.problem
    assert len(found.snapshots) == 1


@pytest.mark.parametrize(("code", "kind"), [("no_space", NoSpace), ("unreachable", Unreachable), ("refused", Refused)])
async def test_failures_of_the_storage_carry_their_exit_code(made, code, kind):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    misbehave(made, fail={"backup": [code, "cannot do it: why; what next"]})
    with pytest.raises(kind, match="cannot do it: why"):
        await made.carry_out(CreateBackupRequest(), "b" * 32)


# ---- looking -----------------------------------------------------------------------------------------------------


async def test_a_repository_that_is_away_is_answered_for_from_the_catalog(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    misbehave(made, fail={"snapshots": ["unreachable", "cannot reach s3: no route; try again"]})
    found = await made.room.list()
    assert (len(found.snapshots), found.problem) == (1, "cannot reach s3: no route; try again")
    assert found.seen_ns


async def test_where_a_repository_was_none_is_made_unasked(made, tmp_path):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    made.repository.rename(tmp_path / "unmounted")
    found = await made.room.list()
    assert len(found.snapshots) == 1
    assert "is its disk mounted?" in found.problem
    with pytest.raises(NotFound, match=r"with 1 snapshot .* is its disk mounted"):
        await made.carry_out(CreateBackupRequest())
    assert not made.repository.exists()
    assert "is its disk mounted" in made.room.catalog.failures()["db"].error
    (tmp_path / "unmounted").rename(made.repository)
    assert (await made.room.list()).problem == ""
    made.repository.rename(tmp_path / "lost")
    await made.carry_out(RepositoryRequest("init"))
    assert (await made.room.list()).snapshots == ()


async def test_what_another_program_removed_is_gone_from_the_list(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    os.unlink(made.repository / "snapshots" / made.room.known()[0].id)
    assert (await made.room.list()).snapshots == ()


async def test_without_its_password_a_local_repository_still_shows_that_something_is_there(tmp_path):
    with rig(tmp_path, password="") as made:
        made.service("db", {"a": "1"})
        (made.repository / "snapshots").mkdir(parents=True)
        (made.repository / "snapshots" / ("a" * 64)).write_text("")
        found = await made.room.list()
        assert [(each.id, each.type) for each in found.snapshots] == [("a" * 64, "")]
        assert "no password is configured" in found.problem
        assert made.room.newest_ns


async def test_files_differences_and_figures(made):
    path = made.service("db", {"a": "1", "sub/b": "2"})
    await made.carry_out(CreateBackupRequest(), "a" * 32)
    write(path, {"new": "3"})
    await made.carry_out(CreateBackupRequest(), "b" * 32)
    newer, older = (await made.room.list()).snapshots
    files = await made.room.files(newer.id[:8], str(path), False, 2, "")
    assert ([each.path for each in files.entries], files.more) == ([f"{path}/a", f"{path}/new"], True)
    diff = await made.room.diff(older.id[:8], newer.id[:8], 10, "")
    assert [(each.kind, each.path) for each in diff.changes] == [("added", f"{path}/new")]
    stats = await made.room.stats("")
    assert (stats.snapshots, len(stats.keys), stats.keys[0].current) == (2, 1, True)
    assert (stats.keys[0].user, stats.keys[0].host, stats.keys[0].created_ns) == ("u", "h", 1)
    assert (stats.locks[0].user, stats.locks[0].host) == ("u", "h")
    with pytest.raises(NotFound):
        await made.room.files("ffff", "", False, 2, "")


async def test_a_damaged_snapshot_is_told_and_no_longer_good(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    await made.carry_out(VerifyBackupsRequest(read_data=True))
    found = (await made.room.list()).snapshots[0]
    assert (found.verified, found.verified_how) == (True, "data")
    os.rename(made.repository / "data" / found.id, made.folder / "lost")
    with pytest.raises(BlackholeError, match=f"it hurts {found.id[:8]}"):
        await made.carry_out(VerifyBackupsRequest((found.id[:8],)))
    damaged = (await made.room.list()).snapshots[0]
    assert (damaged.verified, damaged.problem) == (False, f"pack {found.id[:8]} is missing")
    assert made.room.protection()[0].last_good_ns == 0
    assert made.events.kinds()[-2:] == [
        ("backup.verified", str(made.repository)),
        ("backup.damaged", str(made.repository)),
    ]


# ---- removing ----------------------------------------------------------------------------------------------------


async def test_prune_forgets_what_nothing_keeps_and_says_so_first(made):
    made.service("db", {"a": "1"})
    made.backup(retention=Retention(1, 2))
    for letter in "abcd":
        await made.carry_out(CreateBackupRequest(), letter * 32)
    known = (await made.room.list()).snapshots
    plan = await made.plan(PruneBackupsRequest())
    assert [each.kind for each in plan.steps] == ["backup.forget", "backup.prune"]
    assert known[2].id[:8] in plan.steps[0].title
    assert known[3].id[:8] in plan.steps[0].title
    await made.carry_out(PruneBackupsRequest())
    left = (await made.room.list()).snapshots
    assert [each.id for each in left] == [each.id for each in known[:2]]
    assert left[0].kept == ("newest", "incremental 1 of 2")
    assert len(list((made.repository / "data").iterdir())) == 2
    await drive(made.kinds()["backup.forget"], plan.steps[0])  # once more, after a crash


async def test_forget_takes_what_is_named(made):
    made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    await made.carry_out(ForgetBackupsRequest((made.room.known()[0].id[:6],)))
    assert (await made.room.list()).snapshots == ()


# ---- passwords ---------------------------------------------------------------------------------------------------


async def test_a_new_repository_can_get_a_new_password(tmp_path):
    with rig(tmp_path, password="") as made:
        file = tmp_path / "password"
        await made.carry_out(RepositoryRequest("init", password_file=str(file)))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(file.read_text().strip()) >= 32
        made.backup(password_file=str(file))
        assert (await made.room.stats("")).snapshots == 0
        with pytest.raises(Refused, match="that file exists already"):
            await made.plan(RepositoryRequest("init", password_file=str(file)))


async def test_a_password_is_changed_by_a_ticket_that_is_good_once(made):
    await made.carry_out(RepositoryRequest("init"))
    ticket = made.room.repositories.deposit("new secret")
    plan = await made.plan(RepositoryKeyRequest("change", ticket=ticket))
    assert "new secret" not in str(plan)
    await made.carry_out(RepositoryKeyRequest("change", ticket=ticket))
    made.room.repositories._environ = {"BLACKHOLE_BACKUP_PASSWORD": "new secret"}
    assert [each.id for each in (await made.room.stats("")).keys] == ["k9"]
    with pytest.raises(NotFound, match="too long ago"):
        await made.carry_out(RepositoryKeyRequest("add", ticket=ticket))


async def test_a_key_is_removed_by_the_beginning_of_its_id(made):
    await made.carry_out(RepositoryRequest("init"))
    await made.carry_out(RepositoryKeyRequest("add", ticket=made.room.repositories.deposit("second")))
    await made.carry_out(RepositoryKeyRequest("remove", "k2"))
    with pytest.raises(Refused, match="there is no such key"):
        await made.carry_out(RepositoryKeyRequest("remove", "k7"))


# ---- restoring ---------------------------------------------------------------------------------------------------


async def test_data_is_put_back_and_the_plan_says_what_changes(made):
    path = made.service("db", {"a": "1", "same": "s", "sub/b": "2"})
    await made.carry_out(CreateBackupRequest())
    write(path, {"a": "changed", "new": "3"})
    os.unlink(path / "sub/b")
    plan = await made.plan(RestoreBackupRequest(services=("db",)))
    assert plan.undo_on_failure
    assert plan.effects[0].startswith("db: 1 file added, 1 changed")
    assert f"  ~ {path}/a" in plan.effects
    await made.carry_out(RestoreBackupRequest(services=("db",)))
    assert read(path) == {"a": "1", "same": "s", "sub/b": "2"}
    assert sorted(os.listdir(path.parent)) == ["db"]
    assert made.events.kinds()[-1] == ("backup.restored", "db")


async def test_a_restore_carries_over_what_is_left_out_of_backups(made):
    path = made.service("db", {"a": "1", "cache/x": "1"})
    made.backup(excludes=("*.log", "cache"))
    (path / "cache" / "x").unlink()
    (path / "cache").rmdir()
    await made.carry_out(CreateBackupRequest(), "c" * 32)
    write(path, {"a": "2", "sub/now.log": "live", "cache/x": "live"})
    plan = await made.plan(RestoreBackupRequest(services=("db",)))
    assert any("(*.log cache) is in no backup: what there is of it now is carried" in each for each in plan.effects)
    await made.carry_out(RestoreBackupRequest(services=("db",)))
    assert read(path) == {"a": "1", "sub/now.log": "live", "cache/x": "live"}
    assert sorted(os.listdir(path.parent)) == ["db"]


async def test_what_cannot_be_carried_over_keeps_the_data_from_before(made):
    path = made.service("db", {"sub": "a file"})
    made.backup(excludes=("*.log",))
    await made.carry_out(CreateBackupRequest(), "c" * 32)
    (path / "sub").unlink()
    write(path, {"sub/now.log": "live"})
    said = await made.carry_out(RestoreBackupRequest(services=("db",)))
    assert "in the way of sub/now.log, which is in no backup: the data from before is kept" in said[-1]
    assert read(path) == {"sub": "a file"}
    (kept,) = path.parent.glob("db.before-restore-*")
    assert read(kept) == {"sub/now.log": "live"}


async def test_a_backup_without_a_file_asks_whether_that_is_all(made):
    made.service("db", {}).mkdir(parents=True, exist_ok=True)
    await made.carry_out(CreateBackupRequest())
    assert any("is that where its data is?" in message for _, _, message, _ in made.events.told)


async def test_undone_in_reverse_all_is_as_it_was(made):
    path = made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    write(path, {"a": "2"})
    plan = await made.plan(RestoreBackupRequest(services=("db",)))
    stage, swap = plan.steps[0], plan.steps[1]
    kinds = made.kinds()
    await drive(kinds["restore.stage"], stage)
    await drive(kinds["restore.swap"], swap)
    assert read(path) == {"a": "1"}
    await drive(kinds["restore.swap"], swap, handler=kinds["restore.swap"].undo)
    await drive(kinds["restore.stage"], stage, handler=kinds["restore.stage"].undo)
    assert read(path) == {"a": "2"}
    assert sorted(os.listdir(path.parent)) == ["db"]


async def test_into_a_folder_nothing_else_is_touched(made):
    path = made.service("db", {"a": "1", "b": "2"})
    made.service("api", {"c": "3"})
    await made.carry_out(CreateBackupRequest())
    write(path, {"a": "2"})
    target = made.folder / "look"
    await made.carry_out(RestoreBackupRequest(target=str(target)))
    assert sorted(os.listdir(target)) == ["api", "db"]
    assert read(target / "db" / str(path).lstrip("/")) == {"a": "1", "b": "2"}
    assert read(path)["a"] == "2"
    with pytest.raises(Refused, match="there is something already"):
        await made.plan(RestoreBackupRequest(target=str(target)))
    one = made.folder / "one"
    await made.carry_out(RestoreBackupRequest(services=("db",), target=str(one), paths=(f"{path}/b",)))
    assert list(read(one).values()) == ["2"]


async def test_what_does_not_fit_is_refused_and_said(made):
    path = made.service("db", {"a": "1"})
    await made.carry_out(CreateBackupRequest())
    id_ = made.room.known()[0].id
    with pytest.raises(UsageError, match="--target"):
        await made.plan(RestoreBackupRequest(id_, paths=(f"{path}/a",)))
    made.spec = made.spec.__class__(
        services={"db": ServiceSpec("db", ("x",), data=("/elsewhere",))}, backup=made.spec.backup
    )
    with pytest.raises(UsageError, match="the data of db is /elsewhere"):
        await made.plan(RestoreBackupRequest(id_))
    made.spec = made.spec.__class__(services={}, backup=made.spec.backup)
    with pytest.raises(NotFound, match="not declared here"):
        await made.plan(RestoreBackupRequest(id_))


# ---- counting ----------------------------------------------------------------------------------------------------


async def test_sources_are_counted(made):
    path = made.service("db", {"a": "x" * 1000, "deep/er/b": "x" * 500})
    os.link(path / "a", path / "deep/same-as-a")
    os.symlink("/etc", path / "link")
    [found] = (await made.room.list(("db",))).sources
    assert (found.path, found.bytes, found.files, found.problem) == (str(path), 1504, 4, "")
    with pytest.raises(NotFound, match="no such service"):
        await made.room.list(("web",))


async def test_a_source_that_cannot_be_read_is_named(made, monkeypatch):
    path = made.service("db", {"deep/er/b": "x"})
    scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("er"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(sources.os, "scandir", refuse)
    [found] = (await made.room.list()).sources
    assert found.problem == f"cannot read {path}/deep/er: permission denied"


async def test_counting_ends_in_time(made):
    made.service("db", {f"{number}": "x" for number in range(600)})
    made.room._count_seconds = 0.0
    [found] = (await made.room.list()).sources
    assert "took too long" in found.problem


async def test_storage_elsewhere_is_named_as_restic_is_told_of_it(made):
    made.backup(storage=StorageSpec("sftp", host="box", path="/b", user="me"), promise=Promise(3600, 60))
    found = await made.room.list()
    assert (found.repository, found.rpo_seconds) == ("sftp:me@box:/b", 3600)
    assert "cannot reach box" in found.problem
    assert StorageSpec("s3", bucket="b", region="eu-1", prefix="p/").location == "s3:s3.eu-1.amazonaws.com/b/p"
