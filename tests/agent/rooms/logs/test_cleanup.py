import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.cleanup import Cleanup
from bhtui.agent.rooms.logs.room import Logs
from bhtui.core.errors import NotFound, UsageError
from bhtui.core.request import CleanupLogsRequest
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_twice
from tests.agent.rooms.logs.logmaker import START, Writer, line

DAY = 86_400_000_000_000


@pytest.fixture
def room(tmp_path):
    logs = Logs(tmp_path, lambda: {"api", "api-1"})
    yield logs
    logs.close()


def _days(folder, instance, *ages):
    """A rotated file for each age in days, the last one active."""
    writer = Writer(folder / instance.rpartition("-")[0] / f"{instance}.log")
    for number, age in enumerate(ages):
        if number:
            writer.rotate()
        writer.put(line(START - age * DAY, f"{age}"))


def _files(folder):
    return sorted(path.name for path in folder.glob("*/*.log"))


def test_what_is_too_old_is_planned_and_the_rest_left(room, tmp_path):
    _days(tmp_path, "api-1", 30, 9, 8, 7, 1)
    _days(tmp_path, "old-1", 40, 30)
    _days(tmp_path, "gone-1", 20, 2)
    cleanup = Cleanup(room, lambda: {"api-1"}, lambda: START)
    plan = cleanup.plan(CleanupLogsRequest(8.5 * 86400))
    assert [step.title.partition(",")[0] for step in plan.steps] == [
        "remove 2 files of api-1", "remove 1 file of gone-1", "remove 2 files of old-1",
    ]  # fmt: skip
    assert [step.target for step in cleanup.plan(CleanupLogsRequest(8.5 * 86400, ("api",))).steps] == ["api-1"]
    assert cleanup.plan(CleanupLogsRequest(50 * 86400)).effects[0].startswith("no log has a file")


def test_the_file_that_is_written_to_stays_however_old(room, tmp_path):
    _days(tmp_path, "api-1", 100)
    assert Cleanup(room, lambda: {"api-1"}, lambda: START).plan(CleanupLogsRequest(86400)).steps == ()
    assert len(Cleanup(room, lambda: set(), lambda: START).plan(CleanupLogsRequest(86400)).steps) == 1


@pytest.mark.parametrize(
    ("request_", "error"), [(CleanupLogsRequest(0), UsageError), (CleanupLogsRequest(1, ("none",)), NotFound)]
)
def test_what_cannot_be_meant_is_refused(room, request_, error):
    with pytest.raises(error):
        Cleanup(room, lambda: set()).plan(request_)


async def test_the_step_may_run_again(room, tmp_path):
    cleanup = Cleanup(room, lambda: set(), lambda: START)

    async def reset():
        _days(tmp_path, "api-1", 9, 8, 1)

    await reset()
    step = cleanup.plan(CleanupLogsRequest(7 * 86400)).steps[0]
    [kind] = cleanup.kinds()
    await check_do_twice(Case(kind, step.target, lambda: _files(tmp_path), step.args))
    await reset()
    await check_crash_and_do(Case(kind, step.target, lambda: len(_files(tmp_path)), step.args))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 30))
async def test_no_young_line_is_ever_removed(tmp_path_factory, ages, limit):
    folder = tmp_path_factory.mktemp("logs")
    ages = sorted(ages, reverse=True)
    _days(folder, "api-1", *ages)
    logs = Logs(folder, lambda: {"api"})
    cleanup = Cleanup(logs, lambda: set(), lambda: START)
    [kind] = cleanup.kinds()
    for step in cleanup.plan(CleanupLogsRequest(limit * 86400)).steps:
        await check_do_twice(Case(kind, step.target, lambda: _files(folder), step.args))
    left = "".join(path.read_text() for path in folder.glob("*/*.log")).splitlines()
    assert sorted(int(each.split()[-1]) for each in left) == sorted(age for age in ages if age <= limit)
    logs.close()
