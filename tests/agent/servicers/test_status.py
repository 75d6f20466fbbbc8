"""Snapshots: everything once, then what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.servicers import Status
from bhtui.core.errors import NotFound
from bhtui.core.request import ReloadConfigRequest, StartRequest, StopRequest
from bhtui.core.spec import ServiceSpec
from bhtui.core.status import HostStatus
from bhtui.rpc.blackhole.v1 import status_pb2 as pb
from bhtui.rpc.convert.status import message_to_json
from tests.agent.rooms.supervisor.rig import Rig, fake_rig, spec_of

API, DB = ServiceSpec("api", ("true",)), ServiceSpec("db", ("true",))
CONTEXT: Any = None


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with fake_rig(tmp_path, spec_of(API, DB)) as made:
        yield made


def servicer(rig: Rig) -> Status:
    return Status(
        rig.room, lambda now: HostStatus("here", time_ns=now), rig.events, lambda: ["op1"], lambda: ["it lags"]
    )


async def until_named(stream: AsyncIterator[pb.Snapshot], *names: str) -> pb.Snapshot:
    """The next snapshot that has something to say of one of these."""
    async for snapshot in stream:
        assert not snapshot.full
        if {each.instance for each in snapshot.instances} | set(snapshot.removed) >= set(names):
            return snapshot
    raise AssertionError("the stream has ended")


async def test_get_has_all(rig: Rig) -> None:
    snapshot = await servicer(rig).Get(pb.StatusRequest(), CONTEXT)
    assert ([each.instance for each in snapshot.instances], snapshot.full) == (["api-1", "db-1"], True)
    assert (snapshot.host.hostname, list(snapshot.open_operations)) == ("here", ["op1"])
    assert snapshot.seq == rig.events.last_seq
    only = await servicer(rig).Get(pb.StatusRequest(names=["db"]), CONTEXT)
    assert [each.instance for each in only.instances] == ["db-1"]
    with pytest.raises(NotFound, match="did you mean api"):
        await servicer(rig).Get(pb.StatusRequest(names=["apu"]), CONTEXT)


async def test_watch_sends_all_once_and_then_what_changed(rig: Rig) -> None:
    stream = servicer(rig).Watch(pb.StatusRequest(interval=0.1), CONTEXT)
    first = await anext(stream)
    assert (first.full, [each.state for each in first.instances]) == (True, ["stopped", "stopped"])
    quiet = await anext(stream)
    assert (quiet.full, list(quiet.instances), quiet.host.hostname) == (False, [], "here")
    await rig.run(StartRequest(("api",)))
    seen = await until_named(stream, "api-1")
    assert [each.instance for each in seen.instances] == ["api-1"]
    while seen.instances[0].state != "running":
        seen = await until_named(stream, "api-1")
    later = await anext(stream)
    assert not later.instances, "only its uptime is another"
    await stream.aclose()  # type: ignore[attr-defined]


async def test_watch_names_what_is_not_declared_any_more(rig: Rig) -> None:
    stream = servicer(rig).Watch(pb.StatusRequest(interval=0.1), CONTEXT)
    await anext(stream)
    rig.config.known["new"] = spec_of(API, replace(DB, name="cache"), digest="new")
    assert (await rig.run(ReloadConfigRequest("new"))).error == ""
    seen = await until_named(stream, "db-1")
    assert list(seen.removed) == ["db-1"]
    await stream.aclose()  # type: ignore[attr-defined]


async def test_both_roads_are_made_of_the_same(rig: Rig) -> None:
    await rig.run(StartRequest())
    await rig.run(StopRequest(("db",)))
    status = servicer(rig)
    slow = [message_to_json(each, "here") for each in (await status.Get(pb.StatusRequest(), CONTEXT)).instances]
    quick = await status.quick({})
    for row in (*slow, *quick):
        del row["uptime_seconds"]
    assert quick == slow
    told = await status.quick({"notes": True})
    assert ([row["instance"] for row in told["instances"]], told["notes"]) == (["api-1", "db-1"], ["it lags"])
    assert list((await status.Get(pb.StatusRequest(), CONTEXT)).notes) == ["it lags"]
    assert [row["instance"] for row in await status.quick({"names": ["db"]})] == ["db-1"]
