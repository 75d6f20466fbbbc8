"""A recording says what was seen, and a replay says it again."""

import asyncio
import stat

import pytest

from bhtui.console.sources.message import HostInfo, LinkSeen, LogsSeen, Seen, Trouble
from bhtui.console.sources.record import Recorder, decode, encode, read
from bhtui.console.sources.replay import Replay
from bhtui.core.errors import NotFound, Refused, UsageError
from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2, operations_pb2, status_pb2
from snapshots.world import messages
from tests.waiting import eventually

LINE = logs_pb2.LogLine(time_ns=5, service="api", instance="api-1", level="error", message='[red]{"a": "ü"}\x1b')
SAMPLES = [
    Seen(1.0, "web", HostInfo("web", "10.0.0.1", "prod", production=True)),
    Seen(2.0, "web", LinkSeen("stale", "nothing was heard")),
    Seen(3.0, "web", Trouble("refused")),
    Seen(4.0, "web", LogsSeen("", logs_pb2.LogBatch(lines=[LINE], dropped=2))),
    Seen(5.0, "web", operations_pb2.Operation(id="x", state="done")),
    Seen(
        6.0,
        "web",
        metrics_pb2.SeriesResponse(
            series=[metrics_pb2.Series(instance="api-1", metric="cpu_percent", times_ns=[1], values=[2.0])]
        ),
    ),
]


@pytest.mark.parametrize("seen", SAMPLES, ids=lambda seen: type(seen.body).__name__)
def test_what_is_written_is_what_was_seen(seen):
    assert decode(encode(seen)) == seen


@pytest.mark.parametrize("name", ["session.jsonl", "session.jsonl.gz"])
def test_a_whole_session_comes_back(tmp_path, name):
    path = tmp_path / name
    every = list(messages())
    recorder = Recorder(path, every[0].time, (HostInfo("web-01"),))
    for seen in every:
        recorder(seen)
    recorder.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(read(path))[1:] == every


def test_a_session_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "cut.jsonl"
    recorder = Recorder(path, 0.0, ())
    for seen in SAMPLES:
        recorder(seen)
    recorder.close()
    path.write_text(path.read_text()[:-20])
    assert list(read(path)) == SAMPLES[:-1]


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / "other").write_text("{}\n")
    for name in ("other", "missing"):
        with pytest.raises(UsageError, match="cannot replay"):
            list(read(tmp_path / name))
    with pytest.raises(UsageError, match="cannot record"):
        Recorder(tmp_path / "no" / "such" / "folder", 0.0, ())


def test_kinds_of_a_later_version_are_passed_over():
    assert decode({"t": 1, "h": "web", "k": "new", "b": {}}) is None


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "session.jsonl"
    recorder = Recorder(path, 0.0, (HostInfo("web"),))
    for seen in SAMPLES:
        recorder(seen)
    recorder.close()
    return path


async def test_a_replay_says_things_when_their_time_comes(recording):
    clock = [100.0]
    replay = Replay(recording, lambda: clock[0])
    assert [info.name for info in replay.hosts()] == ["web"]
    seen: list[Seen] = []
    task = asyncio.create_task(replay.run(seen.append))
    await eventually(lambda: len(seen) == 1)
    assert replay.describe() == "x1"
    clock[0] += 2.5
    replay.faster(1)  # also wakes it
    await eventually(lambda: len(seen) == 3)
    clock[0] += 0.5
    assert replay.now() == 3.5
    replay.pause()
    clock[0] += 50
    assert (replay.now(), replay.describe()) == (3.5, "paused")
    replay.pause()
    clock[0] += 50
    replay.faster(0)
    await eventually(lambda: len(seen) == 6)
    assert replay.describe() == "ended"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_replay_answers_what_was_recorded_and_changes_nothing(recording):
    clock = [0.0]
    replay = Replay(recording, lambda: clock[0])
    clock[0] = 10.0
    batches = replay.logs("web", logs_pb2.LogsRequest(names=["api-1"]))
    assert [line.message for line in (await anext(batches)).lines] == [LINE.message]
    await batches.aclose()
    assert len((await replay.series("web", metrics_pb2.SeriesRequest(names=["api-1"]))).series) == 1
    assert [one.state async for one in replay.watch("web", "x")] == ["done"]
    with pytest.raises(NotFound):
        await anext(replay.watch("web", "y"))
    for refused in (replay.plan, replay.begin):
        with pytest.raises(Refused, match="--replay"):
            await refused("web", operations_pb2.OperationRequest())
    with pytest.raises(Refused):
        await replay.cancel("web", "x")
    await replay.close()


def test_an_empty_recording_is_refused(tmp_path):
    Recorder(tmp_path / "empty.jsonl", 0.0, ()).close()
    with pytest.raises(UsageError, match="nothing was recorded"):
        Replay(tmp_path / "empty.jsonl", lambda: 0.0)


def test_snapshots_of_states_survive(tmp_path):
    snapshot = status_pb2.Snapshot(full=True, instances=[status_pb2.InstanceStatus(instance="a-1", pid=0)])
    again = decode(encode(Seen(1.0, "web", snapshot)))
    assert again.body.instances[0].HasField("pid")
