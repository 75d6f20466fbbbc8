"""The screen of log outputs and remote write."""

from bhtui.console.models.host import HostView, reduce_host
from bhtui.console.models.outgoing import outgoing
from bhtui.console.screens.host import HostScreen
from bhtui.console.screens.outgoing import OutgoingScreen
from bhtui.console.sources.message import HostInfo, Seen
from bhtui.core.errors import NoConnection
from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2
from snapshots.samples import outputs

from .test_app import Session, open_host, session  # noqa: F401 - the fixture


def known(name: str) -> HostView:
    view = HostView(HostInfo(name))
    for body in outputs(name):
        view = reduce_host(view, Seen(1.0, name, body))
    return view


def test_trouble_comes_first_and_remote_write_is_one_of_them() -> None:
    rows = outgoing([known("web-01"), known("web-07")])
    assert [(row.host.name, row.name) for row in rows[:2]] == [("web-07", "loki"), ("web-07", "remote write")]
    assert len(rows) == 6
    assert len({row.key for row in rows}) == 6


def test_a_host_without_any_has_no_row() -> None:
    view = HostView(HostInfo("a"))
    for body in (logs_pb2.LogOutputsResponse(), metrics_pb2.RemoteWriteResponse()):
        view = reduce_host(view, Seen(1.0, "a", body))
    assert outgoing([view]) == []


async def test_it_opens_by_key_and_tells_what_is_wrong(session):  # noqa: F811
    await open_host(session)
    await session.press("u")
    await session.on(OutgoingScreen)
    await session.shows("503 Service Unavailable")
    await session.press("down")
    await session.shows("800 samples: the buffer or the disk was full")
    await session.press("enter")
    await session.on(HostScreen)


async def test_it_is_filtered_and_says_why_it_is_empty(session, monkeypatch):  # noqa: F811
    session.app.go("outputs")
    await session.on(OutgoingScreen)
    await session.shows("remote write")
    await session.press("slash", *"failing", "enter")
    await session.until(lambda: len(session.app.screen.table.rows) == 1, "not filtered")
    await session.press("escape", "escape")

    async def refused(host: str) -> None:
        raise NoConnection(f"cannot reach {host}: no route to host")

    monkeypatch.setattr(session.world, "outputs", refused)
    session.app.push_screen(OutgoingScreen(["edge-3"]))
    await session.on(OutgoingScreen)
    await session.shows("cannot reach edge-3: no route to host")
