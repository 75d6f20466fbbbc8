"""The agent's side with a real forwarder: it is begun again when it dies, and ends when it is not wanted."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from bhtui.agent.rooms.logs.outputs.room import Outputs, pid_of
from bhtui.core.event import EventKind
from bhtui.core.outputs import OutputSpec
from bhtui.core.spec import Spec
from tests.agent.rooms.logs.logmaker import Writer, line
from tests.waiting import eventually


@pytest.fixture
async def room(tmp_path):
    made = Outputs(tmp_path / "logs", tmp_path / "state", "web-1", "1.0", lambda *event: made.told.append(event))
    made.told = []
    task = asyncio.create_task(made.watch())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert pid_of(made) is None


def to_file(tmp_path, **more) -> Spec:
    rotate = {"max_size": 1 << 20, "max_age": 1e9, "max_backups": 1}
    options = {"path": str(tmp_path / "all.log"), "format": "text", "rotate": rotate}
    return Spec(outputs=(OutputSpec("all", "file", options=options, backlog=True, **more),))


def lines(tmp_path) -> list[str]:
    path = tmp_path / "all.log"
    return path.read_text().splitlines() if path.exists() else []


async def test_it_sends_and_says_so(room, tmp_path):
    writer = Writer(tmp_path / "logs" / "api" / "api-1.log")
    writer.put(*(line(1_767_323_045_000_000_000 + n, f"n {n}") for n in range(100)))
    room.follow(to_file(tmp_path))
    assert [one.state for one in room.status] == ["idle"]
    await eventually(lambda: len(lines(tmp_path)) == 100)
    await eventually(lambda: room.status[0].sent == 100 and room.status[0].state == "ok")
    assert room.status[0].target == str(tmp_path / "all.log")
    assert room.figures()["blackhole_log_output_lines_total"][0] == (("all", "sent"), 100)


async def test_a_forwarder_that_dies_is_begun_again_and_nothing_is_lost(room, tmp_path):
    writer = Writer(tmp_path / "logs" / "api" / "api-1.log")
    room.follow(to_file(tmp_path, warn_after=0.01))
    pid = await eventually(lambda: pid_of(room))
    await eventually(lambda: (tmp_path / "state" / "outputs" / "all.json").exists())
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: room.status[0].last_error.startswith("the forwarder is gone"))
    writer.put(line(1_767_323_045_000_000_000, "n 1"))
    await eventually(lambda: lines(tmp_path) and pid_of(room) != pid)
    await eventually(lambda: room.status[0].state == "ok")
    kinds = [kind for kind, *_ in room.told]
    assert kinds in ([], [EventKind.OUTPUT_FAILING, EventKind.OUTPUT_RECOVERED])


async def test_what_it_writes_between_the_captured_files_is_not_sent_again(room, tmp_path):
    Writer(tmp_path / "logs" / "api" / "api-1.log").put(line(1_767_323_045_000_000_000, "n 1"))
    spec = to_file(tmp_path)
    own = tmp_path / "logs" / "all" / "all.log"
    room.follow(
        replace(spec, outputs=(replace(spec.outputs[0], options={**spec.outputs[0].options, "path": str(own)}),))
    )
    await eventually(lambda: room.status[0].sent == 1)
    first = room.status[0]
    await eventually(lambda: room.status[0] is not first)  # it has looked again since
    assert room.status[0].sent == 1 and len(own.read_text().splitlines()) == 1


async def test_a_signal_to_all_does_not_cut_off_the_last_lines(room, tmp_path):
    writer = Writer(tmp_path / "logs" / "api" / "api-1.log")
    room.follow(to_file(tmp_path))
    await eventually(lambda: room.status and room.status[0].target)
    pid = pid_of(room)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(pid, number)
    writer.put(line(1_767_323_045_000_000_000, "the last"))
    await eventually(lambda: lines(tmp_path))
    assert pid_of(room) == pid


async def test_another_configuration_ends_what_is_not_wanted(room, tmp_path):
    Writer(tmp_path / "logs" / "api" / "api-1.log").put(line(1_767_323_045_000_000_000, "n 1"))
    room.follow(to_file(tmp_path))
    await eventually(lambda: lines(tmp_path))
    room.follow(Spec())
    await eventually(lambda: pid_of(room) is None)
    assert room.status == ()
    room.follow(to_file(tmp_path))
    await eventually(lambda: pid_of(room))
    await eventually(lambda: room.status[0].target)
    assert len(lines(tmp_path)) == 1, "under its name an output goes on where it was"


async def test_two_forwarders_never_send_at_once(room, tmp_path):
    """As when an agent was killed and the next is quicker than the end of its forwarder."""
    other = Outputs(tmp_path / "logs", tmp_path / "state", "web-1", "1.0", lambda *event: None)
    task = asyncio.create_task(other.watch())
    Writer(tmp_path / "logs" / "api" / "api-1.log").put(line(1_767_323_045_000_000_000, "n 1"))
    try:
        room.follow(to_file(tmp_path))
        await eventually(lambda: room.status[0].sent == 1)
        other.follow(to_file(tmp_path))
        await eventually(lambda: pid_of(other))
        room.follow(Spec())
        await eventually(lambda: other.status[0].target)
        assert len(lines(tmp_path)) == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
