"""From memory that runs short to operations of the agent."""

from types import SimpleNamespace

import pytest

from bhtui.agent.rooms.limits.pressure import SECOND, STEP_WAIT
from bhtui.agent.rooms.limits.watch import PressureWatch
from bhtui.core.errors import Refused
from bhtui.core.override import Override
from bhtui.core.request import ClearCacheRequest, CollectGarbageRequest, RestartRequest
from bhtui.core.spec import LimitsSpec, ServiceSpec
from tests.agent.rooms.limits.rig import Rig, Sample

API = ServiceSpec(
    "api", ("api",), limits=LimitsSpec(memory=1000), replicas=2, on_pressure=("clear-cache", "gc", "restart")
)


@pytest.fixture
def scene(tmp_path):
    rig = Rig(tmp_path, API, 1)
    begun, events = [], []

    async def begin(request, reason):
        if scene.refuse:
            raise Refused("cannot begin it: stop api is under way")
        begun.append((request, reason))

    def append(kind, target="", message="", data=None, actor=None):
        events.append((kind, target, message))

    log = SimpleNamespace(append=append)
    watch = PressureWatch(rig.limits, rig.instances, rig.usage, log, begin, lambda: rig.now)
    scene = SimpleNamespace(rig=rig, watch=watch, begun=begun, events=events, refuse=False)
    yield scene
    rig.close()


async def test_step_by_step(scene):
    scene.rig.usage.samples = {"api-1": Sample(500), "api-2": Sample(950)}
    for _ in range(5):
        await scene.watch.look()
        scene.rig.now += round(STEP_WAIT * SECOND)
    assert [request for request, _ in scene.begun] == [
        ClearCacheRequest(("api",)),
        CollectGarbageRequest(("api",)),
        RestartRequest(("api-2",)),
    ]
    assert scene.begun[0][1] == "memory pressure: api-2 uses 950 B of 1000 B (95%)"
    ((kind, target, message),) = scene.events
    assert (kind, target) == ("limits.pressure", "api-2")
    assert message.endswith("in turn: clear-cache, gc, restart")


async def test_the_limit_that_holds_counts(scene):
    scene.rig.usage.samples = {"api-1": Sample(950)}
    scene.rig.room.override("api", {"memory": Override(2000, "ada", 1)})
    await scene.watch.look()
    assert scene.events == []


async def test_what_could_not_be_begun_is_told(scene):
    scene.refuse = True
    scene.rig.usage.samples = {"api-1": Sample(950)}
    await scene.watch.look()
    assert scene.events[-1][2] == "api-1: clear-cache was not begun: cannot begin it: stop api is under way"


async def test_what_does_not_run_or_has_no_limit_is_left_alone(scene):
    scene.rig.usage.samples = {"api-1": Sample(950), "api-2": Sample(None)}
    scene.rig.instances.picture["api-1"].pid = None
    await scene.watch.look()
    assert scene.events == []
