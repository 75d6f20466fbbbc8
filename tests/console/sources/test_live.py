"""Live sources on links that break: nothing is lost, nothing comes twice, one host does not hold up another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bhtui.console.sources.live import LiveBackend
from bhtui.console.sources.message import HostInfo, LinkSeen, Seen, Trouble
from bhtui.core.errors import BlackholeError, NoConnection, UsageError
from bhtui.rpc.blackhole.v1 import (
    agent_pb2,
    backup_pb2,
    events_pb2,
    logs_pb2,
    metrics_pb2,
    operations_pb2,
    overview_pb2,
    status_pb2,
)
from tests.waiting import eventually


@dataclass
class Status:
    state: str
    detail: str = ""
    remedy: str = ""


class Agent:
    """Answers like an agent; `drop` ends every stream as a lost connection does."""

    def __init__(self) -> None:
        self.events_log = [events_pb2.Event(seq=n, kind="instance.state") for n in range(1, 4)]
        self.lines = [logs_pb2.LogLine(time_ns=n * 10**9, instance="api-1", message=f"line {n}") for n in range(1, 6)]
        self.dropped = asyncio.Event()
        self.begins: list[str] = []
        self.refuse: BlackholeError | None = None
        self.after: list[int] = []
        self.bare: bool | BlackholeError = False
        """Whether nothing is declared there; or how it refuses to say what runs nevertheless."""

    def drop(self) -> None:
        dropped, self.dropped = self.dropped, asyncio.Event()
        dropped.set()

    async def _cut(self) -> None:
        await self.dropped.wait()
        raise NoConnection("cannot hear from the agent")

    async def info(self) -> agent_pb2.AgentInfo:
        return agent_pb2.AgentInfo(version="1")

    async def backups(self, *, cached: bool) -> backup_pb2.ListBackupsResponse:
        return backup_pb2.ListBackupsResponse(hint="make one")

    async def status(self) -> status_pb2.Snapshot:
        return status_pb2.Snapshot(instances=[] if self.bare else [status_pb2.InstanceStatus(instance="api-1")])

    async def overview(self) -> overview_pb2.OverviewResponse:
        if isinstance(self.bare, BlackholeError):
            raise self.bare
        return overview_pb2.OverviewResponse(services=0, time_ns=7)

    async def operations(self) -> list[operations_pb2.Operation]:
        return [operations_pb2.Operation(id="a", state="done")]

    async def watch_status(self) -> AsyncIterator[status_pb2.Snapshot]:
        if self.refuse:
            raise self.refuse
        yield status_pb2.Snapshot(full=True, instances=[status_pb2.InstanceStatus(instance="api-1")])
        await self._cut()

    async def events(self, after: int, follow: bool, tail: int) -> AsyncIterator[events_pb2.EventBatch]:
        self.after.append(after)
        yield events_pb2.EventBatch(events=[event for event in self.events_log if event.seq > after])
        await self._cut()

    async def logs(self, request: logs_pb2.LogsRequest) -> AsyncIterator[logs_pb2.LogBatch]:
        yield logs_pb2.LogBatch(lines=[line for line in self.lines if line.time_ns >= request.since_ns], caught_up=True)
        await self._cut()

    async def series(self, request: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
        return metrics_pb2.SeriesResponse()

    async def begin(self, request: operations_pb2.OperationRequest) -> operations_pb2.Operation:
        self.begins.append(request.id)
        if len(self.begins) == 1:
            raise NoConnection("cannot reach the agent")
        return operations_pb2.Operation(id=request.id, state="running")

    async def watch_operation(self, name: str) -> AsyncIterator[operations_pb2.Operation]:
        if self.dropped.is_set():
            yield operations_pb2.Operation(id=name, state="done")
            return
        yield operations_pb2.Operation(id=name, state="running")
        self.dropped.set()
        raise NoConnection("cannot hear from the agent")


class Link:
    def __init__(self, agent: Agent | None) -> None:
        self.agent = agent
        self.status = Status("live") if agent else Status("no-route", "no route to host", "check the network")

    async def watch(self) -> AsyncIterator[Status]:
        yield self.status
        await asyncio.Event().wait()

    async def ready(self, timeout: float = 60.0) -> Agent:
        if self.agent is None:
            raise NoConnection("cannot reach it: no route to host")
        return self.agent


class Links:
    def __init__(self, **agents: Agent | None) -> None:
        self.links = {name: Link(agent) for name, agent in agents.items()}
        self.closed = False

    def start(self) -> None:
        """Already connected."""

    async def close(self, timeout: float = 5.0) -> None:
        self.closed = True


@pytest.fixture
async def running():
    """Starts a backend on links; what it says is in the list it returns."""
    tasks: list[asyncio.Task[None]] = []
    backends: list[LiveBackend] = []

    def start(links: Links) -> tuple[LiveBackend, list[Seen]]:
        seen: list[Seen] = []
        backend = LiveBackend(tuple(HostInfo(name) for name in links.links), lambda: links, lambda: 5.0)
        tasks.append(asyncio.create_task(backend.run(seen.append)))
        backends.append(backend)
        return backend, seen

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for backend in backends:
        await backend.close()


def bodies(seen: list[Seen], host: str, kind: type) -> list:
    return [one.body for one in seen if one.host == host and isinstance(one.body, kind)]


async def test_one_host_that_cannot_be_reached_does_not_hold_up_another(running):
    _, seen = running(Links(good=Agent(), bad=None))
    await eventually(
        lambda: bodies(seen, "good", status_pb2.Snapshot) and bodies(seen, "good", backup_pb2.ListBackupsResponse)
    )
    assert bodies(seen, "bad", LinkSeen) == [LinkSeen("no-route", "no route to host; check the network")]
    assert not bodies(seen, "bad", status_pb2.Snapshot)
    assert bodies(seen, "good", agent_pb2.AgentInfo)


async def test_a_host_without_services_is_asked_what_it_runs(running):
    bare, older = Agent(), Agent()
    bare.bare, older.bare = True, BlackholeError("cannot ask this: the agent is older than this program")
    _, seen = running(Links(bare=bare, older=older, other=Agent()))
    await eventually(lambda: bodies(seen, "bare", overview_pb2.OverviewResponse))
    for name in ("older", "other"):
        await eventually(lambda name=name: bodies(seen, name, backup_pb2.ListBackupsResponse))
        assert not bodies(seen, name, overview_pb2.OverviewResponse)
        assert not bodies(seen, name, Trouble)


async def test_events_go_on_after_the_last_one_seen(running):
    agent = Agent()
    _, seen = running(Links(web=agent))
    await eventually(lambda: bodies(seen, "web", events_pb2.EventBatch))
    agent.events_log.append(events_pb2.Event(seq=4, kind="operation.state"))
    agent.drop()
    await eventually(lambda: len(bodies(seen, "web", events_pb2.EventBatch)) == 2)
    assert agent.after == [0, 3]
    assert [event.seq for batch in bodies(seen, "web", events_pb2.EventBatch) for event in batch.events] == [1, 2, 3, 4]
    await eventually(lambda: len(bodies(seen, "web", operations_pb2.ListOperationsResponse)) == 2)


async def test_what_changes_seldom_is_read_again_when_an_event_tells_of_it(running):
    agent = Agent()
    _, seen = running(Links(web=agent))
    await eventually(lambda: bodies(seen, "web", backup_pb2.ListBackupsResponse))
    await eventually(lambda: bodies(seen, "web", events_pb2.EventBatch))
    before = len(bodies(seen, "web", backup_pb2.ListBackupsResponse))
    agent.events_log.append(events_pb2.Event(seq=4, kind="backup.made"))
    agent.drop()
    await eventually(lambda: len(bodies(seen, "web", backup_pb2.ListBackupsResponse)) > before)


async def test_a_refused_stream_is_shown_and_tried_again(running):
    agent = Agent()
    agent.refuse = UsageError("cannot watch: no")
    _, seen = running(Links(web=agent))
    await eventually(lambda: bodies(seen, "web", Trouble))
    agent.refuse = None
    await eventually(lambda: bodies(seen, "web", status_pb2.Snapshot))


async def test_a_log_goes_on_over_a_lost_connection_without_loss_or_repeat(running):
    agent = Agent()
    backend, _ = running(Links(web=agent))
    got: list[str] = []

    async def read() -> None:
        async for batch in backend.logs("web", logs_pb2.LogsRequest(follow=True, tail=100)):
            got.extend(line.message for line in batch.lines)

    reader = asyncio.create_task(read())
    await eventually(lambda: len(got) == 5)
    agent.lines += [
        logs_pb2.LogLine(time_ns=5 * 10**9, instance="api-1", message="line 5"),
        logs_pb2.LogLine(time_ns=6 * 10**9, instance="api-1", message="line 6"),
    ]
    agent.drop()
    await eventually(lambda: len(got) == 7)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert got == ["line 1", "line 2", "line 3", "line 4", "line 5", "line 5", "line 6"]


async def test_begin_is_tried_again_under_the_same_id(running):
    agent = Agent()
    backend, _ = running(Links(web=agent))
    answer = await backend.begin("web", operations_pb2.OperationRequest(id="one"))
    assert (answer.state, agent.begins) == ("running", ["one", "one"])


async def test_an_operation_is_watched_to_its_end_over_a_lost_connection(running):
    backend, _ = running(Links(web=Agent()))
    assert [one.state async for one in backend.watch("web", "x")] == ["running", "done"]


async def test_asking_a_host_that_is_out_of_reach_says_so(running):
    backend, _ = running(Links(web=None))
    with pytest.raises(NoConnection, match="no route"):
        await backend.plan("web", operations_pb2.OperationRequest())


async def test_links_are_closed_with_the_backend():
    links = Links(web=Agent())
    backend = LiveBackend((HostInfo("web"),), lambda: links, lambda: 0.0)
    task = asyncio.create_task(backend.run(lambda _: None))
    await eventually(lambda: backend._fleet is not None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await backend.close()
    assert links.closed
