"""The link's states, with a route that does as it is told and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1.agent_pb2 import AgentInfo
from bhtui.rpc.stopped import Stopped, Wake
from bhtui.ssh import link as link_module
from bhtui.ssh.link import MAXIMUM_DELAY, Link, backoff
from bhtui.ssh.route import must_upgrade, parse_version
from bhtui.ssh.state import LinkError, LinkState
from tests.waiting import eventually

DOWN = LinkError(LinkState.NO_ROUTE, "cannot connect to web: refused", "start sshd", retry=True)
WRONG_KEY = LinkError(LinkState.AUTH_FAILED, "cannot log in to web", "add your key")


class Client:
    def __init__(self) -> None:
        self.mood = "well"
        self.more: dict[str, list[str]] = {}

    async def info(self) -> AgentInfo:
        if self.mood == "silent":
            await asyncio.Event().wait()
        if self.mood == "gone":
            raise NoConnection("nobody there")
        return AgentInfo(version="1.2.3", agent_pid=7, **self.more)


class Session:
    def __init__(self) -> None:
        self.client = Client()
        self.info = AgentInfo(version="1.2.3")
        self.note = ""
        self.ended: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.mark: Stopped | None = None

    async def stopped(self) -> Stopped | None:
        return self.mark

    async def lost(self) -> LinkError:
        return await asyncio.shield(self.ended)

    async def close(self) -> None:
        self.closed = True


class Route:
    """Does what stands in `script`, one entry an attempt; then waits for ever."""

    def __init__(self, *script: LinkError | Session | Exception) -> None:
        self.script = list(script)
        self.wakes: list[Wake] = []

    async def open(self, say: Callable[[str], None], *, wake: Wake, force: bool = False) -> Session:
        self.wakes.append(wake)
        say("trying")
        if not self.script:
            await asyncio.Event().wait()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Link]]:
    links: list[Link] = []

    def factory(*script: LinkError | Session | Exception) -> Link:
        link = Link("web", Route(*script), clock=lambda: clock[0], chance=lambda: 0.5, beat=0.01)  # type: ignore[arg-type]
        links.append(link)
        link.start()
        return link

    clock = [1000.0]
    factory.clock = clock  # type: ignore[attr-defined]
    yield factory
    for link in links:
        await link.close()
        assert link.status.state is LinkState.CLOSED


async def reaches(link: Link, state: LinkState) -> None:
    await eventually(lambda: link.status.state is state, what=f"{link.status}")


async def test_it_becomes_live_and_ready(make):
    session = Session()
    link = make(session)
    assert await link.ready(5) is session.client
    assert (link.status.state, link.status.version) == (LinkState.LIVE, "1.2.3")


async def test_a_failure_is_told_at_once_with_the_next_try(make):
    link = make(DOWN)
    with pytest.raises(LinkError, match="refused"):
        await link.ready(5)
    status = link.status
    assert (status.state, status.remedy, status.attempt) == (LinkState.NO_ROUTE, "start sshd", 1)
    assert status.next_try == 1000.0 + backoff(1, 0.5)


async def test_a_request_tries_at_once(make):
    link = make(DOWN, Session())
    await reaches(link, LinkState.NO_ROUTE)
    link.retry_now()
    await reaches(link, LinkState.LIVE)


async def test_a_wrong_key_is_not_tried_again_by_itself(make):
    link = make(WRONG_KEY, Session())
    await reaches(link, LinkState.AUTH_FAILED)
    assert link.status.next_try == 0
    link.retry_now()
    await reaches(link, LinkState.LIVE)


async def test_a_lost_connection_is_made_again_and_starts_no_agent(make):
    session, second = Session(), Session()
    link = make(session, DOWN, second)
    await link.ready(5)
    session.ended.set_result(LinkError(LinkState.RECONNECTING, "lost web", retry=True))
    await reaches(link, LinkState.RECONNECTING)
    assert session.closed
    await reaches(link, LinkState.LIVE)
    assert link.client is second.client
    assert link.route.wakes == [Wake.UNLESS_STOPPED, Wake.NEVER, Wake.NEVER]


async def test_an_agent_that_somebody_stopped_is_shown_at_once(make):
    session = Session()
    link = make(session)
    await link.ready(5)
    session.mark = Stopped("ada", 0)
    session.client.mood = "gone"
    await reaches(link, LinkState.AGENT_STOPPED)
    assert link.status.detail.startswith("the agent of web was stopped by ada ")
    assert link.status.remedy == "start it with `blackhole --host web agent start`"
    assert session.closed


async def test_after_it_was_live_no_route_is_shown_as_reconnecting(make):
    session = Session()
    link = make(session, DOWN)
    await link.ready(5)
    session.ended.set_result(LinkError(LinkState.RECONNECTING, "lost web", retry=True))
    await eventually(lambda: "refused" in link.status.detail)
    assert link.status.state is LinkState.RECONNECTING


async def test_silence_makes_it_stale_and_an_answer_live_again(make, monkeypatch):
    monkeypatch.setattr(link_module, "BEAT_TIMEOUT", 0.01)
    session = Session()
    link = make(session)
    await link.ready(5)
    session.client.mood = "silent"
    make.clock[0] = 1003.0
    await reaches(link, LinkState.STALE)
    assert link.status.since <= 1003.0
    assert link.client is session.client  # a question may still be answered
    session.client.mood = "well"
    await reaches(link, LinkState.LIVE)
    session.client.mood = "gone"
    await reaches(link, LinkState.STALE)
    assert "nobody there" in link.status.detail


async def test_a_silence_that_lasts_is_given_up(make, monkeypatch):
    monkeypatch.setattr(link_module, "BEAT_TIMEOUT", 0.01)
    session = Session()
    link = make(session)
    await link.ready(5)
    session.client.mood = "silent"
    await reaches(link, LinkState.STALE)
    make.clock[0] += link_module.GIVE_UP
    await reaches(link, LinkState.RECONNECTING)
    assert session.closed


async def test_a_fault_of_ours_is_shown_and_does_not_end_the_link(make, caplog):
    link = make(RuntimeError("oops"), Session())
    await reaches(link, LinkState.FAILED)
    assert "oops" in link.status.detail
    assert "oops" in caplog.text
    link.retry_now()
    await reaches(link, LinkState.LIVE)


async def test_a_watcher_sees_the_newest_and_the_end(make):
    session = Session()
    link = make(session)
    await link.ready(5)
    seen = []
    async for status in link.watch():
        seen.append(status.state)
        if status.state is LinkState.LIVE:
            await link.close()
    assert seen == [LinkState.LIVE, LinkState.CLOSED]
    assert session.closed


async def test_ready_has_an_end(make):
    with pytest.raises(LinkError, match="cannot reach web in 0 s: trying"):
        await make().ready(0.05)


async def test_whoever_waits_goes_on_waiting_while_it_gets_on(make):
    class Slow(Route):
        async def open(self, say, *, wake, force=False):
            for part in range(10):
                say(f"sending the agent: {part} %")
                await asyncio.sleep(0.1)
            return self.script.pop(0)

    link = make()
    link.route = Slow(Session())
    await link.ready(0.4)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_is_bounded(attempt: int, chance: float):
    assert 0 < backoff(attempt, chance) <= MAXIMUM_DELAY
    assert backoff(attempt + 1, chance) >= backoff(attempt, chance)


@pytest.mark.parametrize(
    ("theirs", "ours", "upgrade"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.2.0", True),
        ("0.3", "0.2.0", False),
        ("1.9", "2.0", True),
        ("", "1.0", True),
    ],
)
def test_which_agent_is_replaced(theirs: str, ours: str, upgrade: bool):
    assert must_upgrade("web", theirs, ours) is upgrade


def test_a_newer_major_version_is_refused():
    with pytest.raises(LinkError, match="upgrade this console"):
        must_upgrade("web", "2.0.0", "1.9.9")


def test_versions():
    assert parse_version("1.20.3") == (1, 20, 3)
    assert parse_version("1.2.dev4") == (1, 2)
    assert parse_version("x") == (0,)


async def test_closing_leaves_no_question_behind(make: Callable[..., Link]) -> None:
    session = Session()
    link = make(session)
    link.start()
    await link.ready(10)
    session.client.mood = "silent"
    asked = await eventually(lambda: [task for task in asyncio.all_tasks() if "Client.info" in repr(task.get_coro())])
    await link.close()
    assert all(task.done() for task in asked) and session.closed


async def test_what_a_search_has_missed_is_placed_while_connected(make: Callable[..., Link]) -> None:
    session = Session()
    link = make(session)
    placed: list[str] = []
    go_on = asyncio.Event()

    async def layer(session: Session, name: str, say: Callable[[str], None]) -> None:
        say(f"sending what {name} needs: 40 %")
        await go_on.wait()
        placed.append(name)
        session.info.lacks_layers[:] = session.info.wants_layers[:] = []

    link.route.layer = layer  # type: ignore[method-assign, assignment]
    link.start()
    await link.ready(10)
    session.client.more = {"lacks_layers": ["search"], "wants_layers": ["search"]}
    await eventually(lambda: link.status.detail == "sending what search needs: 40 %")
    session.client.more = {}
    go_on.set()
    await eventually(lambda: placed == ["search"] and not link.status.detail)
