"""What the agent does by itself: backups when they are due, again when they failed, and a word when they are late."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bhtui.agent.rooms.backup.watch import BackupWatch
from bhtui.core.backup import BackupSchedule, BackupSnapshot, Promise
from bhtui.core.errors import Refused, UsageError
from bhtui.core.operation import Actor, Operation, OperationState
from bhtui.core.request import CreateBackupRequest, PruneBackupsRequest, RepositoryRequest

from .rooms import rig

SECOND = 1_000_000_000
NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * SECOND  # a Monday
HOUR = 3600 * SECOND


class Journal:
    """Operations that are begun and end as the test wants."""

    def __init__(self):
        self.begun, self.refuse = [], None
        self.operations = {}

    async def begin(self, request, actor, reason):
        if self.refuse:
            raise self.refuse
        self.begun.append((request, actor, reason))
        made = Operation(f"op{len(self.begun)}", "backup", (), Actor(actor), reason, OperationState.RUNNING, ())
        self.operations[made.id] = made
        return made

    def get(self, operation_id):
        return self.operations[operation_id]

    def end(self, state=OperationState.DONE):
        if not self.begun:
            return
        last = f"op{len(self.begun)}"
        self.operations[last] = replace(self.operations[last], state=state)


@pytest.fixture
async def made(tmp_path):
    with rig(tmp_path) as found:
        found.now_ns = NOON
        found.service("db", {"a": "1"})
        found.backup(schedule=BackupSchedule("0 2 * * 0", "0 2 * * *"))
        await found.carry_out(RepositoryRequest("init"))
        journal = Journal()
        yield found, journal, BackupWatch(found.room, found.store, journal, journal.begin)


def snapshot(made, time_ns, type_="incremental"):
    found = BackupSnapshot(f"{time_ns:064x}", time_ns, type_, "h", ("db",), run="r")
    (made.repository / "snapshots" / found.id).write_text("{}")
    made.room.catalog.add(str(made.repository), found, "", time_ns)


async def test_each_night_one_and_on_sunday_a_full_one(made):
    rig_, journal, watch = made
    for hour in range(24 * 8):
        rig_.now_ns = NOON + hour * HOUR
        await watch.look()
        journal.end()
    types = [request.type for request, _, _ in journal.begun if isinstance(request, CreateBackupRequest)]
    assert types == ["incremental"] * 5 + ["full"] + ["incremental"] * 2
    assert {actor for _, actor, _ in journal.begun} == {"schedule:backup"}


async def test_what_was_missed_is_made_when_the_agent_is_back(made):
    rig_, journal, watch = made
    await watch.look()
    rig_.now_ns = NOON + 40 * HOUR
    again = BackupWatch(rig_.room, rig_.store, journal, journal.begin)
    await again.look()
    await again.look()
    assert [(request.type, reason) for request, _, reason in journal.begun] == [
        ("incremental", "incremental backup, scheduled, missed while the agent was down")
    ]


async def test_what_is_in_the_way_is_waited_for_and_what_cannot_be_is_told(made):
    rig_, journal, watch = made
    await watch.look()
    rig_.now_ns = NOON + 14 * HOUR
    journal.refuse = Refused("cannot backup db: a restore is under way; wait for it")
    await watch.look()
    journal.refuse = None
    await watch.look()
    assert len(journal.begun) == 1
    journal.end()
    await watch.look()
    rig_.now_ns += 24 * HOUR
    journal.refuse = UsageError("cannot open the repository: no password is configured; write one")
    await watch.look()
    await watch.look()
    told = [message for kind, _, message, _ in rig_.events.told if kind == "backup.failed"]
    assert told == [
        "the scheduled backup was not begun: cannot open the repository: no password is configured; write one"
    ]


async def test_what_failed_is_tried_again_for_those_that_lack_one(made):
    rig_, journal, watch = made
    rig_.service("api", {"b": "1"})
    await watch.look()
    rig_.now_ns = NOON + 14 * HOUR
    await watch.look()
    snapshot(rig_, rig_.now_ns)
    journal.end(OperationState.FAILED)
    await watch.look()
    assert len(journal.begun) == 1
    rig_.now_ns += 601 * SECOND
    await watch.look()
    request, _, reason = journal.begun[-1]
    assert (request.services, reason.endswith("attempt 2")) == (("api",), True)
    for _ in range(6):
        journal.end(OperationState.FAILED)
        await watch.look()
        rig_.now_ns += 601 * SECOND
        await watch.look()
    assert len(journal.begun) == 4


@pytest.mark.parametrize("state", [OperationState.DONE, OperationState.FAILED])
async def test_after_each_what_is_not_kept_is_pruned_also_when_one_service_always_fails(made, state):
    rig_, journal, watch = made
    await watch.look()
    for day in range(9):
        snapshot(rig_, NOON - (day + 1) * 24 * HOUR)
    rig_.now_ns = NOON + 14 * HOUR
    await watch.look()
    journal.end(state)
    await watch.look()
    assert isinstance(journal.begun[-1][0], PruneBackupsRequest)


async def test_a_promise_that_is_not_kept_is_told_once_and_when_it_is_kept_again(made):
    rig_, _, watch = made
    rig_.backup(schedule=BackupSchedule(), promise=Promise(24 * 3600, 0))
    snapshot(rig_, NOON - HOUR)
    await watch.look()
    late = lambda: [(target, data["late"]) for kind, target, _, data in rig_.events.told if kind == "backup.late"]  # noqa: E731
    assert late() == []
    rig_.now_ns = NOON + 25 * HOUR
    await watch.look()
    await watch.look()
    assert late() == [("db", True)]
    assert "is 1 d old, and 1 d is promised" in rig_.events.told[-1][2]
    assert rig_.room.notes == [f"backup: {rig_.events.told[-1][2]}"]
    snapshot(rig_, rig_.now_ns)
    await BackupWatch(rig_.room, rig_.store, Journal(), Journal().begin).look()
    assert late() == [("db", True), ("db", False)]
    assert rig_.room.notes == []
    rig_.room.not_backed_up("db", "the disk is full")
    await watch.look()
    assert rig_.room.notes == ["backup: db could not be backed up: the disk is full"]


async def test_a_promise_that_is_taken_back_is_not_told_as_kept(made):
    rig_, _, watch = made
    rig_.backup(schedule=BackupSchedule(), promise=Promise(24 * 3600, 0))
    rig_.now_ns = NOON + 25 * HOUR
    await watch.look()
    rig_.backup(schedule=BackupSchedule(), promise=Promise(0, 0))
    await watch.look()
    assert rig_.events.told[-1][2] == "nothing is promised any more of how old a backup of db may be"


async def test_what_another_program_put_in_is_noticed(made):
    rig_, _, watch = made
    (rig_.repository / "snapshots" / ("e" * 64)).write_text(
        '{"id": "%s", "time_ns": 5, "host": "x", "paths": ["/y"], "tags": []}' % ("e" * 64)
    )
    await watch.look()
    assert [each.host for each in rig_.room.catalog.snapshots(str(rig_.repository))] == ["x"]
