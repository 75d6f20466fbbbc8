"""Every kind of step of this room stands what the journal may do with it."""

import os

import pytest

from bhtui.agent.rooms.backup.rescue import Around, Rescue
from bhtui.core.request import (
    CleanupServiceRequest,
    CreateBackupRequest,
    ForgetBackupsRequest,
    PruneBackupsRequest,
    RestoreBackupRequest,
    VerifyBackupsRequest,
)
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice

from .rooms import NoLife, drive, read, rig, write

SUITE = "suite"
"""The suite's own operation."""
TURNS = (0, 1, 3, 20)
"""Fewer than the suite's own: each is a process of its own here."""


@pytest.fixture
def made(tmp_path):
    with rig(tmp_path) as found:
        yield found


def seen(made, path):
    """The data, and what lies beside it."""
    return lambda: (read(path), sorted(name for name in os.listdir(path.parent) if name.startswith(".")))


async def stand(case):
    await check_do_twice(case)
    await check_crash_and_do(case)
    await check_do_and_undo(case)


async def restored(made):
    path = made.service("db", {"a": "1", "sub/b": "2"})
    await made.carry_out(CreateBackupRequest(), "c" * 32)
    write(path, {"a": "changed"})
    plan = await made.plan(RestoreBackupRequest(services=("db",)))
    return path, {each.kind: each for each in plan.steps}


async def test_stage(made):
    path, steps = await restored(made)
    step = steps["restore.stage"]
    await stand(Case(made.kinds()[step.kind], "db", seen(made, path), step.args, crash_points=TURNS))


async def test_swap(made):
    path, steps = await restored(made)
    step, kinds = steps["restore.swap"], made.kinds()
    await drive(kinds["restore.stage"], steps["restore.stage"], SUITE)
    await stand(Case(kinds[step.kind], "db", lambda: read(path), step.args, crash_points=TURNS))
    assert read(path)["a"] == "changed"
    await drive(kinds[step.kind], step, SUITE)
    assert read(path)["a"] == "1"


async def test_settle_and_extract(made):
    path, steps = await restored(made)
    kinds = made.kinds()
    for name in ("restore.stage", "restore.swap"):
        await drive(kinds[name], steps[name], SUITE)
    await stand(Case(kinds["restore.settle"], "db", seen(made, path), steps["restore.settle"].args, crash_points=TURNS))
    target = made.folder / "look"
    [step] = (await made.plan(RestoreBackupRequest(target=str(target)))).steps
    observe = lambda: read(target) if target.exists() else {}  # noqa: E731
    await stand(Case(kinds[step.kind], "db", observe, step.args, crash_points=TURNS))


async def test_open_take_verify_forget_and_prune(made):
    made.service("db", {"a": "1"})
    known = lambda: sorted(each.services for each in made.room.known())  # noqa: E731
    plan = await made.plan(CreateBackupRequest())
    await stand(Case(made.kinds()["backup.open"], "repo", known, plan.steps[0].args, crash_points=TURNS))
    await check_do_twice(Case(made.kinds()["backup.take"], "db", known, plan.steps[1].args))
    assert known() == [("db",)]
    [step] = (await made.plan(VerifyBackupsRequest())).steps
    await stand(Case(made.kinds()[step.kind], "repo", known, step.args, crash_points=TURNS))
    [step] = (await made.plan(ForgetBackupsRequest((made.room.known()[0].id,)))).steps
    await stand(Case(made.kinds()[step.kind], "repo", known, step.args, crash_points=TURNS))
    [step] = (await made.plan(PruneBackupsRequest())).steps
    await stand(Case(made.kinds()[step.kind], "repo", known, step.args, crash_points=TURNS))


async def test_cleanup(made):
    path = made.service("db", {"a": "1"})
    rescue = Rescue(made.room, NoLife(), Around())
    [step] = rescue.plan(CleanupServiceRequest(("db",))).steps
    kind = {each.name: each for each in rescue.kinds()}[step.kind]
    await stand(Case(kind, "db", seen(made, path), step.args, crash_points=TURNS))
