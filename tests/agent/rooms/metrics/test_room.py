import asyncio
import math
import os
import subprocess
import sys

import pytest

from bhtui.agent.rooms.metrics import room as under_test
from bhtui.agent.rooms.metrics.model import HOST_METRICS, INSTANCE_METRICS
from bhtui.agent.rooms.metrics.room import Metrics
from bhtui.core.errors import NotFound, UsageError
from bhtui.core.series import SeriesQuery
from tests.waiting import eventually


@pytest.fixture
def quick(monkeypatch):
    """A second is a hundredth."""
    monkeypatch.setattr(under_test, "PERIOD", 0.01)


@pytest.fixture
async def metrics(tmp_path, quick):
    room = Metrics(tmp_path, limit_of=lambda instance, metric: 64.0 if metric == "memory_bytes" else None)
    room.start()
    yield room
    await room.close()


async def series(room, names=(), metrics=(), **more):
    return await room.series(SeriesQuery(tuple(names), tuple(metrics), **more))


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait(60)


async def test_an_instance_is_sampled_from_track_to_forget(metrics, sleeper):
    assert metrics.of("api-1") is None
    metrics.track("api-1", sleeper.pid)
    await eventually(lambda: (found := metrics.of("api-1")) and found.cpu_percent is not None)
    found = metrics.of("api-1")
    assert found.memory_bytes > 0 and found.threads == 1 and found.fds >= 3
    metrics.forget("api-1")
    assert metrics.of("api-1") is None
    ticks = metrics.pace.ticks
    await eventually(lambda: metrics.pace.ticks > ticks + 3)
    assert metrics.of("api-1") is None
    memory = (await series(metrics, ["api"], ["memory_bytes"]))[0]
    assert (memory.service, memory.instance, memory.metric, memory.limit) == ("api", "api-1", "memory_bytes", 64.0)
    assert len(memory.times_ns) == len(memory.values)
    assert memory.values[-1] != memory.values[-1]  # the gap after it was forgotten
    assert any(value > 0 for value in memory.values)


async def test_an_instance_that_ended_leaves_a_gap_and_nothing_else(metrics, sleeper):
    metrics.track("api-1", sleeper.pid)
    await eventually(lambda: metrics.of("api-1"))
    sleeper.kill()
    sleeper.wait(60)
    await eventually(lambda: metrics.of("api-1") is None)
    metrics.track("api-1", os.getpid())
    await eventually(lambda: metrics.of("api-1"))


async def test_series_are_chosen_by_name_and_metric(metrics):
    for name in ("api-1", "api-2", "db-1"):
        metrics.track(name, os.getpid())
    await eventually(lambda: len(metrics.latest) == 3)

    async def chosen(names=(), wanted=()):
        return [(one.instance, one.metric) for one in await series(metrics, names, wanted)]

    assert await chosen(["api", "db-1"], ["fds"]) == [("api-1", "fds"), ("api-2", "fds"), ("db-1", "fds")]
    await eventually(lambda: metrics.of("db-1").cpu_percent is not None)
    of_host = [metric for _, metric in await chosen(["host"])]
    assert {"cpu_percent", "memory_bytes", "load1", "disk_used_percent"} <= set(of_host) <= set(HOST_METRICS)
    assert {metric for _, metric in await chosen(["db"])} <= set(INSTANCE_METRICS)
    assert {name for name, _ in await chosen()} == {"api-1", "api-2", "db-1", "host"}
    with pytest.raises(NotFound, match=r"cannot show webb: .*there are api, api-1, api-2, db, db-1, host"):
        await chosen(["webb"])
    with pytest.raises(UsageError, match="there are cpu_percent"):
        await chosen([], ["speed"])
    with pytest.raises(UsageError):
        await metrics.series(SeriesQuery(step=-1))


async def test_the_host_is_measured(metrics):
    early = metrics.host_status(5)
    assert early.time_ns == 5 and early.memory_total_bytes > early.memory_used_bytes > 0
    await eventually(lambda: metrics.host_status(0).cpu_percent is not None)
    now = metrics.host_status(7, last_backup_ns=3)
    assert 0 <= now.cpu_percent <= 100
    assert now.hostname == os.uname().nodename and now.os and now.cpus >= 1
    assert 0 < now.disk_used_percent <= 100 and now.uptime_seconds > 0 and now.last_backup_ns == 3
    host = (await series(metrics, ["host"], ["memory_bytes"]))[0]
    assert not math.isnan(host.values[-1])


async def test_ticks_that_come_too_late_are_left_out_and_counted(metrics, monkeypatch):
    await eventually(lambda: metrics.pace.ticks > 2)
    measure, slow = metrics._measure, asyncio.Event()

    def once_slow(*args):
        if not slow.is_set():
            slow.set()
            subprocess.run([sys.executable, "-c", "import time; time.sleep(0.1)"], check=True)
        return measure(*args)

    monkeypatch.setattr(metrics, "_measure", once_slow)
    await eventually(lambda: metrics.pace.missed > 5)
    ticks = metrics.pace.ticks
    await eventually(lambda: metrics.pace.ticks > ticks + 2)


async def test_closing_leaves_nothing_open(tmp_path, quick, sleeper):
    before = len(os.listdir("/proc/self/fd"))
    room = Metrics(tmp_path)
    room.start()
    room.track("api-1", sleeper.pid)
    room.track("api-2", sleeper.pid)
    await eventually(lambda: len(room.latest) == 2)
    room.forget("api-2")
    await room.close()
    assert len(os.listdir("/proc/self/fd")) == before
    await Metrics(tmp_path).close()


async def test_a_service_is_the_sum_of_its_instances(metrics, sleeper):
    for name in ("api-1", "api-2"):
        metrics.track(name, sleeper.pid)
    await eventually(lambda: len(metrics.latest) == 2)
    [one, two] = await series(metrics, ["api"], ["threads"])
    [both] = await series(metrics, ["api"], ["threads"], by_service=True)
    assert (both.service, both.instance) == ("api", "api")
    assert {1.0, 2.0} >= {value for value in both.values if not math.isnan(value)} >= {2.0}
    assert len(one.values) <= len(both.values) and len(two.values) <= len(both.values)


async def test_the_next_room_goes_on_with_what_the_last_one_had(tmp_path, quick, sleeper):
    """Nothing is handed over at the end: it could have been killed."""
    first = Metrics(tmp_path)
    first.start()
    first.track("api-1", sleeper.pid)
    await eventually(lambda: len(first.history._ring.reader(0, 10**19, 0)(("api-1", "threads")).times_ns) > 5)
    [before] = await series(first, ["api-1"], ["threads"])
    second = Metrics(tmp_path)
    second.start()
    await eventually(lambda: second.pace.ticks > 2)
    [after] = await series(second, ["api-1"], ["threads"])
    kept = {time for time, value in zip(after.times_ns, after.values, strict=True) if value == 1.0}
    # A tick of a hundredth of a second may come before the one before it is written; such are counted.
    assert len(set(before.times_ns[1:-1]) - kept) <= first.history.lost
    await first.close()
    await second.close()
