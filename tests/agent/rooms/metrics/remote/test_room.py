import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from bhtui.agent.rooms.metrics.remote.room import RemoteWriter
from bhtui.agent.rooms.metrics.remote.writers import RemoteWriters
from bhtui.core.event import EventKind
from bhtui.core.spec import MetricsSpec, RemoteWriteSpec, Spec

from . import reading


@pytest.fixture
def server():
    made = reading.Server()
    yield made
    made.close()


def wanting(*remotes):
    return Spec(metrics=MetricsSpec(remote_write=remotes))


@asynccontextmanager
async def writing(folder, remote, told=None):
    """A writer that runs; its one figure counts how often it was asked for."""
    count = iter(range(1, 10**6))
    writer = RemoteWriter(folder, "web-1", "1.0", (lambda *a: told.append(a)) if told is not None else lambda *_: None)
    writer.rows = lambda: {"blackhole_agent_samples_total": [((), next(count))]}
    writer.follow(remote)
    task = asyncio.create_task(writer.watch())
    try:
        yield writer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(what, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)


def values(server):
    return [value for body in server.bodies for _, value, _ in reading.series(body)]


async def test_figures_arrive_with_their_labels(server, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    remote = RemoteWriteSpec(
        "mimir", server.url, 0.1, labels={"job": "bh"}, headers={"X-Scope-OrgID": "ops"},
        options={"bearer_token_file": str(tmp_path / "token")},
    )  # fmt: skip
    async with writing(tmp_path / "q", remote) as writer:
        await until(lambda: len(server.bodies) >= 2)
        await until(lambda: writer.status.sent >= 2)
        assert writer.status.state == "ok"
    labels, value, _ = reading.series(server.bodies[0])[0]
    assert (labels, value) == ({"__name__": "blackhole_agent_samples_total", "job": "bh", "host": "web-1"}, 1.0)
    said = server.headers[0]
    assert said["path"] == "/api/v1/write"
    assert (said["content-encoding"], said["content-type"]) == ("snappy", "application/x-protobuf")
    assert said["x-prometheus-remote-write-version"] == "0.1.0"
    assert (said["x-scope-orgid"], said["authorization"]) == ("ops", "Bearer s3cret")


async def test_what_cannot_be_taken_now_is_sent_again_in_order(server, tmp_path):
    server.answers = [(503, {}), (429, {"Retry-After": "1"}), (500, {})]
    async with writing(tmp_path / "q", RemoteWriteSpec("mimir", server.url, 0.2)) as writer:
        await until(lambda: len(server.bodies) >= 3)
        await until(lambda: writer.status.state == "ok")
        assert writer.status.retried >= 3
        assert writer.status.rejected == writer.status.dropped == 0
    found = values(server)
    assert found == sorted(set(found))
    assert found[0] == 1.0


@pytest.mark.parametrize("code", [400, 401, 404, 413])
async def test_what_is_refused_for_good_is_not_sent_again(server, tmp_path, code):
    server.answers = [(code, {})]
    async with writing(tmp_path / "q", RemoteWriteSpec("mimir", server.url, 0.1)) as writer:
        await until(lambda: writer.status.sent >= 1)
        assert (writer.status.rejected, writer.status.retried) == (1, 0)
        assert f"refuses: {code}" in writer.status.last_error
    assert 1.0 not in values(server)


async def test_what_was_taken_while_nobody_listened_arrives_after_a_restart(server, tmp_path):
    away = RemoteWriteSpec("mimir", "http://127.0.0.1:9/api/v1/write", 0.1)
    async with writing(tmp_path / "q", away) as writer:
        await until(lambda: writer.status.behind_samples >= 3)
        assert (writer.status.state, writer.status.sent) == ("failing", 0)
        assert "cannot reach http://127.0.0.1:9: connection refused" in writer.status.last_error
    kept = sorted(os.listdir(tmp_path / "q"))
    async with writing(tmp_path / "q", replace(away, url=server.url)):
        await until(lambda: len(server.bodies) > len(kept))
    assert values(server)[: len(kept)] == [float(n) for n in range(1, len(kept) + 1)]


async def test_events_tell_of_trouble_once_and_of_its_end(server, tmp_path):
    told = []
    server.answers = [(503, {})] * 4
    async with writing(tmp_path / "q", RemoteWriteSpec("mimir", server.url, 0.1, warn_after=0.5), told):
        await until(lambda: EventKind.REMOTE_WRITE_RECOVERED in [each[0] for each in told])
    kinds = [each[0] for each in told if each[0] != EventKind.REMOTE_WRITE_LAGGING]  # on a busy machine it lags too
    assert kinds == [EventKind.REMOTE_WRITE_FAILING, EventKind.REMOTE_WRITE_RECOVERED]
    assert told[0][1] == "metrics.remote_write"
    assert "503 Service Unavailable" in told[0][2]


@asynccontextmanager
async def all_of(folder, *remotes):
    count = iter(range(1, 10**6))
    writers = RemoteWriters(folder, "web-1", "1.0", lambda *_: None)
    writers.rows = lambda: {"blackhole_agent_samples_total": [((), next(count))]}
    writers.follow(wanting(*remotes))
    task = asyncio.create_task(writers.watch())
    try:
        yield writers
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_without_it_nothing_runs_and_nothing_is_left(server, tmp_path):
    async with all_of(tmp_path / "q", RemoteWriteSpec("mimir", "http://127.0.0.1:9/", 0.1)) as writers:
        await until(lambda: writers.statuses[0].behind_samples)
        assert writers.figures()["blackhole_remote_write_up"] == [(("mimir",), 0.0)]
        writers.follow(wanting())
        await until(lambda: not (tmp_path / "q" / "mimir").exists())
        assert (writers.statuses, writers.figures()) == ([], {})
        writers.follow(wanting(RemoteWriteSpec("mimir", server.url, 0.1)))
        await until(lambda: server.bodies)


async def test_one_that_is_away_holds_up_no_other(server, tmp_path):
    away, well = RemoteWriteSpec("away", "http://127.0.0.1:9/", 0.1), RemoteWriteSpec("well", server.url, 0.1)
    (tmp_path / "q" / "gone").mkdir(parents=True)
    async with all_of(tmp_path / "q", away, well) as writers:
        await until(lambda: writers.statuses[1].sent >= 3 and writers.statuses[0].behind_samples >= 3)
        assert [(each.name, each.state) for each in writers.statuses] == [("away", "failing"), ("well", "ok")]
        assert writers.figures()["blackhole_remote_write_up"] == [(("away",), 0.0), (("well",), 1.0)]
        assert not (tmp_path / "q" / "gone").exists()
        writers.follow(wanting(well))
        await until(lambda: os.listdir(tmp_path / "q") == ["well"])
        sent = writers.statuses[0].sent
        await until(lambda: writers.statuses[0].sent > sent)


async def test_a_secret_that_is_missing_is_told_and_never_shown(server, tmp_path):
    remote = RemoteWriteSpec("mimir", server.url, 0.1, options={"bearer_token_file": str(tmp_path / "token")})
    async with writing(tmp_path / "q", remote) as writer:
        await until(lambda: writer.status.last_error)
        assert "cannot read bearer_token_file" in writer.status.last_error
        (tmp_path / "token").write_text("later\n")
        await until(lambda: server.bodies)
