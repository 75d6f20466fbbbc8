"""Each kind of step against what every kind must stand, on real processes, cgroups and a real service."""

import asyncio
import os
import subprocess
import sys
import textwrap

import grpc.aio
import psutil
import pytest

from bhtui.agent.rooms.limits import contract
from bhtui.agent.rooms.limits.steps import kinds
from bhtui.core.errors import BlackholeError
from bhtui.core.override import Override
from bhtui.core.spec import LimitsSpec, ServiceSpec
from bhtui.core.states import State
from bhtui.rpc.blackhole.service.v1 import contract_pb2, contract_pb2_grpc
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.agent.rooms.limits.rig import Rig
from tests.waiting import until

MEBI = 1 << 20
API = ServiceSpec("api", ("api",), limits=LimitsSpec(memory=64 * MEBI, pids=50))


@pytest.fixture
def tree():
    """A process with a thread and a child."""
    code = """
        import subprocess, threading, time
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        child = subprocess.Popen(["sleep", "1000"])
        print(child.pid, flush=True)
        child.wait()
    """
    parent = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    yield parent.pid, child
    for pid in (parent.pid, child):
        os.kill(pid, 9)
    parent.wait()
    parent.stdout.close()


@pytest.fixture
def rig(tmp_path, tree):
    made = Rig(tmp_path, API, tree[0])
    made.limits.prepare("api-1", API.limits)
    yield made
    made.close()


def step(rig, name):
    return next(kind for kind in kinds(rig.room) if kind.name == name)


async def checked(case):
    await check_do_twice(case)
    await check_crash_and_do(case)
    await check_do_and_undo(case)


def overrides(rig):
    return {name: override.value for name, override in rig.book.of("api").items()}


@pytest.mark.parametrize("value", [30, "none"])
async def test_limits_are_set_lifted_and_taken_back(rig, value):
    where = rig.limits.hierarchies
    if "pids" not in where.v1:
        pytest.skip("no pids controller of version 1 here")
    group = where.v1["pids"] / "api-1"
    args = {"values": {"pids": value}, "before": {"pids": None}}
    case = Case(step(rig, "limits.set"), "api", lambda: (overrides(rig), (group / "pids.max").read_text()), args=args)
    await checked(case)
    assert (group / "pids.max").read_text() == "50\n"
    assert rig.instances.told[-1][0] == "api-1"


async def test_priorities_are_set_and_taken_back(rig, tree):
    if os.geteuid():
        pytest.skip("only root may raise a priority again")
    threads = [int(name) for pid in tree for name in os.listdir(f"/proc/{pid}/task")]
    assert len(threads) > 2

    def seen():
        return [(os.getpriority(os.PRIO_PROCESS, thread), psutil.Process(thread).ionice()) for thread in threads]

    args = {"values": {"nice": 7, "ionice": "best-effort:6"}, "before": {"nice": None, "ionice": None}}
    case = Case(step(rig, "priority.set"), "api", seen, args=args)
    await checked(case)
    kind = step(rig, "priority.set")
    await check_do_twice(Case(kind, "api", seen, args=args, reset=_nothing))
    assert {nice for nice, _ in seen()} == {7}
    assert {(io.ioclass.value, io.value) for _, io in seen()} == {(2, 6)}


async def _nothing():
    return


async def test_what_was_set_outlives_the_agent(rig, tmp_path):
    rig.room.override("api", {"memory": Override(128 * MEBI, "ada", 5)})
    rig.store.close()
    again = Rig(tmp_path, API)
    try:
        assert again.book.effective(API).limits == LimitsSpec(memory=128 * MEBI, pids=50)
        assert again.room.latest_override("api") == Override(128 * MEBI, "ada", 5)
        again.room.override("api", {"memory": None})
        assert again.book.effective(API) == API
    finally:
        again.close()


async def test_what_is_just_being_started_is_waited_for(rig):
    instance = rig.instances.picture["api-1"]
    instance.pid, instance.state, pid = None, State.STARTING, instance.pid
    case = Case(step(rig, "limits.set"), "api", lambda: None, {"values": {"pids": 9}, "before": {"pids": None}})
    task = asyncio.create_task(check_do_and_undo(case))
    await asyncio.sleep(0)
    assert not task.done()
    instance.pid, instance.state = pid, State.RUNNING
    await task


async def test_what_the_kernel_refuses_fails(rig, monkeypatch):
    if "memory" not in rig.limits.hierarchies.v1:
        pytest.skip("no memory controller of version 1 here")

    def refuse(group, limits):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setitem(__import__("bhtui.agent.rooms.limits.cgroup1", fromlist=["x"]).SETTERS, "memory", refuse)
    with pytest.raises(BlackholeError, match="cannot hold api-1 to its limit of memory: the kernel refuses it"):
        await rig.room.hold("api")


async def test_what_instances_use_of_what_they_may(rig, tree):
    rig.room.override("api", {"memory": Override(128 * MEBI, "ada", 5)})
    (seen,) = await rig.room.read(("api",))
    memory = seen.limit("memory")
    assert (memory.amount, memory.override_by, memory.override_ns) == (128 * MEBI, "ada", 5)
    assert seen.limit("pids").override_by == ""
    assert seen.limit("cpu") is None
    assert seen.pid == tree[0]
    assert 0 < seen.fds < seen.fds_limit
    assert seen.disks[0].path == "/"
    assert seen.disks[0].total_bytes > seen.disks[0].free_bytes > 0


class Service(contract_pb2_grpc.ContractServicer):
    """Offers caches only."""

    entries = 5

    async def ClearCaches(self, request, context):
        cleared, Service.entries = Service.entries, 0
        said = contract_pb2.ClearCachesResponse
        return said(cleared=[said.Cleared(name="tokens", entries=cleared)])


class Whole(Service):
    async def CollectGarbage(self, request, context):
        return contract_pb2.CollectGarbageResponse(objects=3, bytes_before=4 * MEBI, bytes_after=MEBI)


@pytest.fixture
async def serve(tmp_path):
    servers = []

    async def begin(servicer):
        server = grpc.aio.server()
        contract_pb2_grpc.add_ContractServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield begin
    for server in servers:
        await server.stop(0)


async def test_caches_and_garbage_by_the_contract(rig, serve):
    args = {"contract": await serve(Whole())}
    await checked(Case(step(rig, "service.clear-cache"), "api", lambda: Service.entries, args=args))
    await checked(Case(step(rig, "service.collect-garbage"), "api", lambda: None, args=args))


class Reloading(Service):
    changed = ("LOG_LEVEL",)

    async def Reload(self, request, context):
        if self.changed is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "LOG_LEVEL is loud")
        return contract_pb2.ReloadResponse(changed=self.changed)


async def test_a_reload_by_the_contract_says_what_changed_and_one_that_is_not_offered_is_no_failure(serve):
    reloading = Reloading()
    address = await serve(reloading)
    assert await contract.reload("api-1", address) == "changed: LOG_LEVEL"
    reloading.changed = ()
    assert await contract.reload("api-1", address) == "nothing of its own has changed"
    reloading.changed = None
    with pytest.raises(BlackholeError, match=r"cannot reload api-1: .* LOG_LEVEL is loud"):
        await contract.reload("api-1", address)
    assert "offers no reload" in await contract.reload("api-1", await serve(Service()))


async def test_what_a_contract_lacks_is_said(rig, serve):
    case = Case(step(rig, "service.collect-garbage"), "api", lambda: None, {"contract": await serve(Service())})
    with pytest.raises(BlackholeError, match=r"cannot collect the garbage of api: its contract at .* does not offer"):
        await check_do_twice(case)
    case = Case(step(rig, "service.clear-cache"), "api", lambda: None, {"contract": "127.0.0.1:1"})
    with pytest.raises(BlackholeError, match=r"nobody answers at 127\.0\.0\.1:1"):
        await check_do_twice(case)


def test_the_tree_is_gone_when_its_group_is_empty(rig):
    assert until(lambda: rig.limits.members("api-1") == (), what="nobody joined the group")
