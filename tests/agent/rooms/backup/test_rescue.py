"""Data in doubt: looked at, saved, cleaned up after, put aside."""

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bhtui.agent.rooms.backup import datacheck, restoresteps, swap
from bhtui.agent.rooms.backup.rescue import Around, Rescue
from bhtui.core.errors import BlackholeError, NotFound, Refused, UsageError
from bhtui.core.operation import Plan
from bhtui.core.request import CheckDataRequest, CleanupServiceRequest, ResetRequest

from .rooms import NoLife, drive, read, rig


def database(path, rows=20000):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, more TEXT)")
        db.execute("CREATE INDEX by_word ON t(word)")
        db.executemany("INSERT INTO t (word) VALUES (?)", [(f"word {number:06d}",) for number in range(rows)])
        db.execute("PRAGMA user_version = 7")
        db.commit()


def damage(path):
    """Some pages in the middle are overwritten."""
    with open(path, "r+b") as file:
        file.seek(4096 * 60)
        file.write(b"\xff" * 4096 * 8)


@pytest.fixture
def made(tmp_path):
    with rig(tmp_path) as found:
        yield found


async def carry_out(made, request, around=None, life=None):
    rescue = Rescue(made.room, life or NoLife(), around or Around())
    kinds = {each.name: each for each in (*rescue.kinds(), *restoresteps.kinds(made.room))}
    plan = rescue.plan(request)
    return [(await drive(kinds[each.kind], each)).detail for each in plan.steps]


async def test_whole_data_is_read_and_asked(made):
    path = made.service("db", {"a": "1234", "sub/b": "5"})
    database(path / "x.db")
    [detail] = await carry_out(made, CheckDataRequest(("db",)))
    assert detail.startswith("3 files read, ")
    assert detail.endswith("1 SQLite database whole")
    with pytest.raises(NotFound, match="no such service"):
        await carry_out(made, CheckDataRequest(("web",)))
    made.spec = made.spec.__class__(services={"db": made.spec.services["db"].__class__("db", ("x",))})
    with pytest.raises(UsageError, match="no data is declared"):
        await carry_out(made, CheckDataRequest(("db",)))


async def test_damage_is_named_with_what_to_do(made):
    path = made.service("db", {"a": "1"})
    database(path / "x.db")
    damage(path / "x.db")
    with pytest.raises(BlackholeError, match=r"x\.db: .*backup restore --service db --latest"):
        await carry_out(made, CheckDataRequest(("db",)))
    os.rename(path, made.folder / "gone")
    with pytest.raises(BlackholeError, match="is not there"):
        await carry_out(made, CheckDataRequest(("db",)))


async def test_what_can_be_read_of_a_damaged_database_is_saved(made):
    path = made.service("db", {"a": "1"})
    database(path / "x.db")
    damage(path / "x.db")
    made.now_ns = 1_772_366_400_000_000_000
    [detail] = await carry_out(made, CheckDataRequest(("db",), repair=True))
    kept = path / "x.db.damaged-20260301T120000Z"
    assert kept.exists()
    assert f"the damaged one is kept as {kept}" in detail
    assert datacheck.whole(path / "x.db") == ()
    with closing(sqlite3.connect(path / "x.db")) as db:
        count, version = (
            db.execute("SELECT count(*) FROM t").fetchone()[0],
            db.execute("PRAGMA user_version").fetchone(),
        )
        assert 10_000 < count < 20_000
        assert version == (7,)
        assert db.execute("SELECT word FROM t WHERE id = 1").fetchone() == ("word 000000",)
        assert db.execute("SELECT word FROM t WHERE id = 20000").fetchone() == ("word 019999",)


async def test_nobody_repairs_what_is_in_use(made):
    path = made.service("db", {"a": "1"})
    database(path / "x.db")
    damage(path / "x.db")
    with pytest.raises(Refused, match="db-1 uses it; stop db first"):
        await carry_out(made, CheckDataRequest(("db",), repair=True), Around(lambda: {"db-1": ""}))


async def test_a_contract_is_asked_first(made):
    made.service("db", {"a": "1"})
    asked = []

    async def verify(instance, address):
        asked.append((instance, address))
        return ["row 7 has no owner"] if len(asked) > 1 else []

    async def repair(instance, address):
        return "gave row 7 an owner"

    around = Around(lambda: {"db-1": "localhost:1"}, lambda _: (), verify, repair)
    assert await carry_out(made, CheckDataRequest(("db",)), around) == ["its contract finds nothing wrong"]
    with pytest.raises(BlackholeError, match="db-1: row 7 has no owner; "):
        await carry_out(made, CheckDataRequest(("db",)), around)
    assert await carry_out(made, CheckDataRequest(("db",), repair=True), around) == ["gave row 7 an owner"]


async def test_what_a_crash_has_left_is_taken_away_and_data_is_not(made, tmp_path):
    address = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
    path = made.service("db", {"a": "1"}, contract=f"unix:{address}")
    left = swap.Place(str(path), False, "feedbeef")
    swap.make_room(left)
    [detail] = await carry_out(made, CleanupServiceRequest(("db",)))
    assert f"removed the dead socket {address}" in detail
    assert not address.exists()
    assert not left.folder.exists()
    assert read(path) == {"a": "1"}
    assert await carry_out(made, CleanupServiceRequest(("db",))) == ["nothing was left behind"]


async def test_what_may_be_the_only_copy_stays(made):
    path = made.service("db", {"a": "1"})
    left = swap.Place(str(path), False, "feedbeef")
    swap.make_room(left)
    os.rename(path, left.old)
    [detail] = await carry_out(made, CleanupServiceRequest(("db",)))
    assert "it was left" in detail
    assert read(left.old) == {"a": "1"}


async def test_what_runs_is_not_cleaned_up(made):
    made.service("db", {"a": "1"})
    with pytest.raises(Refused, match="stop db --force"):
        await carry_out(made, CleanupServiceRequest(("db",)), Around(lambda: {"db-1": ""}))


@pytest.mark.parametrize("keep", [True, False])
async def test_a_reset_puts_the_data_aside_and_leaves_an_empty_folder_like_it(made, keep):
    path = made.service("db", {"a": "1"})
    path.chmod(0o750)
    made.now_ns = 1_772_366_400_000_000_000
    await carry_out(made, ResetRequest(("db",), keep))
    assert read(path) == {}
    assert made.events.kinds() == [("data.reset", "db")]
    assert path.stat().st_mode & 0o777 == 0o750
    kept = Path(f"{path}.before-restore-20260301T120000Z")
    assert kept.exists() == keep
    assert not keep or read(kept) == {"a": "1"}
    assert sorted(os.listdir(path.parent)) == sorted([path.name, *([kept.name] if keep else [])])


async def test_a_reset_stops_what_runs_and_starts_it_again(made):
    from bhtui.core.operation import PlannedStep

    class Life(NoLife):
        def around(self, services):
            stop = PlannedStep("service.stop", "db-1", "stop db-1", {"restore": True})
            return Plan("around", tuple(services), (stop, PlannedStep("service.start", "db-1", "start", {}, (0,)))), 1

    made.service("db", {"a": "1"})
    plan = Rescue(made.room, Life(), Around()).plan(ResetRequest())
    assert [(each.kind, each.after) for each in plan.steps] == [
        ("service.stop", ()), ("restore.empty", (0,)), ("restore.swap", (1,)), ("restore.settle", (2,)),
        ("service.start", (0, 1, 2, 3)),
    ]  # fmt: skip
    assert plan.steps[0].args["restore"] is False
    assert not plan.undo_on_failure
