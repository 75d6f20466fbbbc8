"""The agent's client of the keeper, against a real keeper."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bhtui.agent.keeper import Exit, Keeper, KeeperError, KeeperLost, Launch, Listener, LogSpec, Replaced, SpawnRequest
from tests.keeper.support import IDLE, end_hard, is_alive, kill_now, log_lines, python, text_of
from tests.waiting import eventually


@dataclass
class Heard:
    """A listener that remembers."""

    exits: list[Exit] = field(default_factory=list)
    replaced: list[Replaced] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def listener(self) -> Listener:
        return Listener(
            self.exits.append,
            self.replaced.append,
            lambda: self.others.append("terminate"),
            lambda uid, pid: self.others.append(f"emergency {uid}"),
        )


@dataclass
class Place:
    root: Path
    keeper: Keeper
    heard: Heard

    def request(self, key: str, argv: list[str], **fields: object) -> SpawnRequest:
        env = dict(os.environ)
        return SpawnRequest(key, tuple(argv), LogSpec(str(self.log(key))), env=env, **fields)  # type: ignore[arg-type]

    def log(self, key: str) -> Path:
        return self.root / "log" / f"{key.partition('#')[0]}.log"

    def texts(self, key: str) -> list[str]:
        return [text_of(line) for line in log_lines(self.log(key))]

    async def exit_of(self, key: str) -> Exit:
        return await eventually(lambda: next((one for one in self.heard.exits if one.key == key), None), 60)


def launch(root: Path) -> Launch:
    return Launch(root / "log", tuple(IDLE))


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    root, heard = Path(tempfile.mkdtemp(prefix="bhk", dir="/tmp")), Heard()
    keeper = await Keeper.connect(root / "run", launch=launch(root), listener=heard.listener())
    yield Place(root, keeper, heard)
    await keeper.close()
    await asyncio.to_thread(end_hard, root)
    shutil.rmtree(root)


async def test_spawn_signal_exit_forget(place: Place) -> None:
    spawned = await place.keeper.spawn(place.request("a-1#1", IDLE, tag={"instance": "a-1"}, nice=3))
    assert is_alive(spawned.pid, spawned.start)
    assert (spawned.tag, spawned.boot, spawned.exit) == ({"instance": "a-1"}, place.keeper.boot_id, None)
    assert await place.keeper.tree("a-1#1") == (spawned.pid,)
    await place.keeper.signal("a-1#1", 15)
    exit_ = await place.exit_of("a-1#1")
    assert (exit_.code, exit_.signal, exit_.unknown, exit_.pid, exit_.tag) == (
        None,
        15,
        False,
        spawned.pid,
        spawned.tag,
    )
    [kept] = await place.keeper.list()
    assert kept.exit == exit_
    await place.keeper.forget("a-1#1")
    await place.keeper.forget("a-1#1")
    assert await place.keeper.list() == []


async def test_errors_carry_the_step(place: Place) -> None:
    with pytest.raises(KeeperError, match=r"^cannot start /nowhere: exec: No such file") as caught:
        await place.keeper.spawn(place.request("a-1#1", ["/nowhere"]))
    assert (caught.value.stage, caught.value.errno) == ("exec", 2)
    with pytest.raises(KeeperError, match="no such process") as caught:
        await place.keeper.signal("b-1#1", 15)
    assert caught.value.stage == "key"


async def test_many_at_once_and_a_list_of_several_pages(place: Place) -> None:
    requests = [place.request(f"m-{number}#1", ["sleep", "99"]) for number in range(150)]
    spawned = await asyncio.gather(*map(place.keeper.spawn, requests))
    assert len({one.pid for one in spawned}) == 150
    assert {one.key for one in await place.keeper.list()} == {one.key for one in requests}
    killed = await place.keeper.emergency()
    assert (killed.killed, killed.remaining) == (150, ())
    await eventually(lambda: len(place.heard.exits) == 150)
    assert place.keeper.held
    assert place.heard.others == [f"emergency {os.getuid()}"]
    await place.keeper.resume()
    await place.keeper.spawn(place.request("n-1#1", IDLE))


async def test_a_huge_request_goes_through(place: Place) -> None:
    request = place.request("a-1#1", ["/bin/sh", "-c", "exit ${#BIG}"])
    env = {**request.env, **{f"N{number}": "x" * 100_000 for number in range(10)}, "BIG": "123"}
    await place.keeper.spawn(SpawnRequest(request.key, request.argv, request.log, env=env))
    assert (await place.exit_of("a-1#1")).code == 3


async def test_a_new_client_finds_everything(place: Place) -> None:
    spawned = await place.keeper.spawn(place.request("a-1#1", IDLE))
    await place.keeper.close()
    heard = Heard()
    other = await Keeper.connect(place.root / "run", listener=heard.listener())
    try:
        [kept] = await other.list()
        assert (kept.pid, kept.start, kept.exit) == (spawned.pid, spawned.start, None)
        assert (await other.kill("a-1#1")).killed == 1
        await eventually(lambda: heard.exits)
    finally:
        await other.close()


async def test_the_keeper_is_upgraded_under_it(place: Place) -> None:
    spawned = await place.keeper.spawn(place.request("a-1#1", IDLE))
    pid = place.keeper.pid
    await place.keeper.upgrade([sys.executable, "-m", "bhtui.keeper"])
    assert (await place.keeper.stats())["pid"] == pid
    await place.keeper.signal("a-1#1", 9)
    assert (await place.exit_of("a-1#1")).signal == 9
    assert is_alive(spawned.pid) is False
    assert place.heard.replaced == []


async def test_a_killed_keeper_is_replaced_and_nothing_is_started_twice(place: Place) -> None:
    code = "import itertools, time\nfor n in itertools.count(): print(n, flush=True); time.sleep(0.001)"
    spawned = [await place.keeper.spawn(place.request(f"a-{number}#1", python(code))) for number in (1, 2, 3)]
    ended = await place.keeper.spawn(place.request("b-1#1", ["/bin/sh", "-c", "exit 3"]))
    assert (await place.exit_of(ended.key)).code == 3
    for turn in (1, 2):
        old = place.keeper.pid
        kill_now(old)
        await eventually(lambda turn=turn: len(place.heard.replaced) == turn, what="the new keeper")  # type: ignore[misc]
        replaced = place.heard.replaced[-1]
        assert (replaced.old_pid, replaced.new_pid) == (old, place.keeper.pid)
        assert set(replaced.adopted) == {one.key for one in spawned}
        assert replaced.lost == {}
    kept = {one.key: one for one in await place.keeper.list()}
    for one in spawned:
        assert is_alive(one.pid, one.start)
        assert (kept[one.key].pid, kept[one.key].adopted) == (one.pid, True)
        before = len(place.texts(one.key))
        await eventually(lambda one=one, before=before: len(place.texts(one.key)) > before + 50)  # type: ignore[misc]
        texts = place.texts(one.key)
        assert sum("the keeper was replaced here" in text for text in texts) == 2
        numbers = [int(text) for text in texts if text.isdigit()]
        assert numbers == sorted(set(numbers))
    assert (await place.keeper.kill("a-1#1")).killed == 1
    exit_ = await place.exit_of("a-1#1")
    assert (exit_.code, exit_.signal, exit_.unknown) == (None, None, True)
    await place.keeper.forget("a-1#1")
    await place.keeper.forget("b-1#1")
    await place.keeper.spawn(place.request("a-1#2", IDLE))


async def test_half_a_line_survives_the_keeper(place: Place) -> None:
    script = "printf 'first half, '; while [ ! -e $0 ]; do sleep 0.02; done; echo second half"
    go_on = place.root / "go"
    await place.keeper.spawn(place.request("a-1#1", ["/bin/sh", "-c", script, str(go_on)]))
    tails = place.keeper._fds["a-1#1"]["tails"]
    await eventually(lambda: os.pread(tails, 12, 5) == b"first half, ", what="the keeper to have read it")
    await eventually(lambda: os.pread(tails, 1, 0) == b"\0")
    kill_now(place.keeper.pid)
    await eventually(lambda: place.heard.replaced)
    go_on.touch()
    await place.exit_of("a-1#1")
    assert place.texts("a-1#1") == [
        "[blackhole] the keeper was replaced here: nothing is missing",
        "first half, second half",
    ]


async def test_ends_while_there_is_no_keeper_are_told_as_unknown(place: Place) -> None:
    spawned = await place.keeper.spawn(place.request("a-1#1", IDLE))
    kill_now(place.keeper.pid)
    kill_now(spawned.pid)
    exit_ = await place.exit_of("a-1#1")
    assert (exit_.code, exit_.unknown) == (None, True) or exit_.signal == 9
    await eventually(lambda: place.heard.replaced)


async def test_calls_wait_for_the_new_keeper(place: Place) -> None:
    await place.keeper.spawn(place.request("a-1#1", IDLE))
    kill_now(place.keeper.pid)
    await eventually(lambda: not place.keeper._linked.is_set())
    assert len(await place.keeper.tree("a-1#1")) == 1


async def test_what_nobody_adopted_is_swept(place: Place) -> None:
    """Keeper and agent die together: what they leave must not run twice when they are back."""
    spawned = await place.keeper.spawn(place.request("a-1#1", IDLE))
    pid = place.keeper.pid
    await place.keeper.close()
    kill_now(pid)
    again = await Keeper.connect(place.root / "run", launch=launch(place.root))
    try:
        kept = await again.spawn(place.request("a-1#2", IDLE))
        assert is_alive(spawned.pid, spawned.start)
        swept = await again.sweep()
        assert (swept.killed, swept.remaining) == (1, ())
        assert not is_alive(spawned.pid, spawned.start)
        assert is_alive(kept.pid, kept.start)
    finally:
        await again.close()


async def test_no_keeper_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(KeeperLost, match="cannot reach the keeper in"):
        await Keeper.connect(tmp_path)


async def test_shutdown_replaces_nothing(place: Place) -> None:
    spawned = await place.keeper.spawn(place.request("a-1#1", IDLE))
    pid = place.keeper.pid
    with pytest.raises(KeeperError, match="1 processes run"):
        await place.keeper.shutdown()
    # The keeper watches this very process as its agent; it must not be asked to end.
    await place.keeper.kill("a-1#1")
    assert not is_alive(spawned.pid)
    assert pid == place.keeper.pid


async def test_descriptors_are_let_go(place: Place) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(30):
        await place.keeper.spawn(place.request(f"a-1#{number}", ["/bin/true"]))
        await place.exit_of(f"a-1#{number}")
        await place.keeper.list()
        await place.keeper.forget(f"a-1#{number}")
    assert len(os.listdir("/proc/self/fd")) == before
