"""The units of a systemd that is played at the other end of a socket: calls, jobs, signals, a connection lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jeepney import DBusAddress, HeaderFields, MessageType, Parser, new_error, new_method_return, new_signal

from bhtui.agent.foreign.capture import Captures
from bhtui.agent.foreign.systemd import manager
from bhtui.agent.foreign.systemd.limits import FOREVER
from bhtui.agent.foreign.systemd.manager import Systemd, bus_path
from bhtui.agent.foreign.systemd.subject import UnitSubject, object_path
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import LimitsSpec, ServiceKind, ServiceSpec
from bhtui.core.states import Result, State
from tests.waiting import eventually

WEB = ServiceSpec("web", (), kind=ServiceKind.SYSTEMD, unit="web.service", scope="user")
PATH = object_path("web.service")
SYSTEMD = "org.freedesktop.systemd1"


class Played:
    """A systemd with one unit."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.unit: dict[str, Any] = {"Id": "web.service", "LoadState": "loaded", "ActiveState": "inactive"}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.refuses: dict[str, str] = {}
        self.job_result = "done"
        self.is_mute = False
        self._jobs, self._serials = itertools.count(1), itertools.count(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket))

    async def drop(self) -> None:
        """Ends all connections and the socket."""
        assert self._server
        self._server.close()
        for writer in self._writers:
            writer.close()
        self.socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await reader.read(1)
        while (line := await reader.readline()) and line != b"BEGIN\r\n":
            writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n" if line.startswith(b"AUTH") else b"ERROR\r\n")
        parser = Parser()
        while data := await reader.read(65536):
            parser.add_data(data)
            while (message := parser.get_next_message()) is not None:
                self._answer(message, writer)

    def _answer(self, message: Any, writer: asyncio.StreamWriter) -> None:
        assert message.header.message_type is MessageType.method_call
        name = message.header.fields[HeaderFields.member]
        self.calls.append((name, tuple(message.body)))
        if self.is_mute:
            return
        if name in self.refuses:
            self._send(writer, new_error(message, self.refuses[name], "s", ("no",)))
        elif name == "GetAll":
            own = {k: ("s" if isinstance(v, str) else "i", v) for k, v in self.unit.items()}
            found = own if message.body[0].endswith(".Unit") else {"ControlGroup": ("s", "")}
            self._send(writer, new_method_return(message, "a{sv}", (found,)))
        elif name in ("StartUnit", "StopUnit", "RestartUnit"):
            job = f"/org/freedesktop/systemd1/job/{next(self._jobs)}"
            self._send(writer, new_method_return(message, "o", (job,)))
            if name != "StopUnit" or "KillUnit" in self.refuses:
                self.finish(job, "inactive" if name == "StopUnit" else "active")
            else:
                self._held = job
        else:
            self._send(writer, new_method_return(message))
            if name == "KillUnit" and message.body[2] == 9:
                self.finish(self._held, "inactive")

    def finish(self, job: str, state: str) -> None:
        self.unit["ActiveState"] = state
        self.signal(PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged", "s", ("x",))
        self.signal(
            "/org/freedesktop/systemd1", f"{SYSTEMD}.Manager", "JobRemoved", "uoss",
            (1, job, "web.service", self.job_result),
        )  # fmt: skip

    def signal(self, path: str, interface: str, name: str, signature: str, body: tuple[Any, ...]) -> None:
        for writer in self._writers:
            self._send(writer, new_signal(DBusAddress(path, interface=interface), name, signature, body))

    def _send(self, writer: asyncio.StreamWriter, message: Any) -> None:
        if not writer.is_closing():
            writer.write(message.serialise(next(self._serials)))

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


Rig = tuple[Played, UnitSubject, list[int]]
"""What is played, the subject, and how often it said that something changed."""


@asynccontextmanager
async def played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Played, UnitSubject, list[int]]]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(manager, "AGAIN_SECONDS", 0.02)
    there = Played(tmp_path / "systemd" / "private")
    await there.listen()
    units, told = Systemd(lambda _: True, Captures()), [0]

    def changed() -> None:
        told[0] += 1

    subject = units.subject(WEB, changed)
    try:
        yield there, subject, told
    finally:
        await subject.close()
        await units.close()
        await there.drop()


async def test_it_is_asked_and_observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with played(tmp_path, monkeypatch) as (there, subject, told):
        assert (await subject.observe()).state is State.STOPPED
        await subject.start()
        seen = await subject.observe()
        assert (seen.state, told[0] > 0) == (State.RUNNING, True)
        await subject.signal(1)
        assert ("StartUnit", ("web.service", "replace")) in there.calls
        assert ("KillUnit", ("web.service", "main", 1)) in there.calls


async def test_what_it_is_asked_itself_is_not_somebody_elses_wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with played(tmp_path, monkeypatch) as (there, subject, _):
        await subject.start()
        assert (await subject.observe()).state is State.RUNNING
        await subject.stop(0.0)
        assert there.names()[-2:] == ["KillUnit", "ResetFailedUnit"]
        seen = await subject.observe()
        assert (seen.state, seen.was_asked, seen.result) == (State.STOPPED, False, Result.SUCCESS)
        await subject.start()
        assert (await subject.observe()).state is State.RUNNING
        there.finish("/org/freedesktop/systemd1/job/99", "inactive")  # systemctl stop, elsewhere
        await eventually(lambda: subject._jobs)
        assert (await subject.observe()).was_asked


async def test_refusals_and_jobs_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with played(tmp_path, monkeypatch) as (there, subject, _):
        there.refuses = {"StartUnit": "org.freedesktop.systemd1.UnitMasked"}
        with pytest.raises(BlackholeError, match=r"cannot start web\.service: it is masked"):
            await subject.start()
        there.refuses, there.job_result = {}, "dependency"
        with pytest.raises(BlackholeError, match="a unit that it requires could not be started"):
            await subject.start()


async def test_limits_that_are_refused_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with played(tmp_path, monkeypatch) as (there, subject, _):
        there.unit["MemoryMax"] = 7
        held = await subject.hold(LimitsSpec(memory=1 << 20), ("/",), {})
        assert (held.held_by, held.refused) == ("systemd unit properties", ())
        assert held.before == {"MemoryMax": 7, "MemoryHigh": FOREVER, "MemorySwapMax": FOREVER}
        there.refuses = {"SetUnitProperties": "org.freedesktop.DBus.Error.AccessDenied"}
        held = await subject.hold(LimitsSpec(cpu=1.0), ("/",), {})
        assert held.refused == ("cpu",) and "only root" in held.not_held["cpu"]


async def test_a_lost_connection_is_told_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with played(tmp_path, monkeypatch) as (there, subject, told):
        assert (await subject.observe()).state is State.STOPPED
        before = told[0]
        await there.drop()
        await eventually(lambda: told[0] > before)
        seen = await subject.observe()
        assert seen.state is None and "cannot ask systemd about web.service" in seen.text
        await there.listen()
        before = told[0]
        await eventually(lambda: told[0] > before)
        assert (await subject.observe()).state is State.STOPPED


async def test_one_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bhtui.agent.foreign.systemd.bus.CALL_SECONDS", 0.1)
    async with played(tmp_path, monkeypatch) as (there, subject, _):
        there.is_mute = True
        seen = await subject.observe()
        assert seen.state is None and "has not answered" in seen.text


def test_where_the_bus_is(tmp_path: Path):
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert bus_path("user", 1, environ) == f"{tmp_path}/bus"
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    assert bus_path("user", 1, environ) == f"{tmp_path}/systemd/private"
    (tmp_path / "bus").touch()
    assert bus_path("user", 1, environ) == f"{tmp_path}/bus"
