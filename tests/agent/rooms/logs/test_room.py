import asyncio
import os
import threading
import time
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.reading import BATCH_LINES
from bhtui.agent.rooms.logs.room import Logs
from bhtui.core.errors import BlackholeError, NotFound, UsageError
from bhtui.core.logs import LogsQuery
from bhtui.keeper.logfile import LogFile, stamp
from tests.agent.rooms.logs.logmaker import START, Writer, line

SECOND = 1_000_000_000


@pytest.fixture
def logs(tmp_path):
    room = Logs(tmp_path, lambda: {"declared", "declared-1"})
    yield room
    room.close()


async def read(logs, **query):
    batches = []
    async with aclosing(logs.read(LogsQuery(**query))) as reading:
        async for batch in reading:
            batches.append(batch)  # noqa: PERF401
    return batches


async def messages(logs, **query):
    return [one.message for batch in await read(logs, **query) for one in batch.lines]


# instance, seconds since the line before it (negative: the clock is set back, which starts a new file), rotate, size
steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-20, 5), st.booleans(), st.sampled_from([3, 3, 3, 2000, 20_000])),
    max_size=80,
)


def lay_out(folder, spec):
    writers = [Writer(folder / "api" / f"api-{i + 1}.log") for i in range(2)] + [Writer(folder / "db" / "db-1.log")]
    now, last, written = START, {}, []
    for number, (which, gap, rotates, size) in enumerate(spec):
        now += gap * SECOND
        if rotates or now < last.get(which, 0):
            writers[which].rotate()
        last[which] = now
        writers[which].put(line(now, f"{number} " + "x" * size))
        written.append((now, number))
    return written


@settings(max_examples=120, deadline=None)
@given(steps, st.integers(-30, 100), st.integers(-30, 100), st.integers(0, 30))
def test_merging_equals_sorting(tmp_path_factory, spec, since, until, tail):
    folder = tmp_path_factory.mktemp("m")
    written = lay_out(folder, spec)
    low, high = (START + since * SECOND if since else 0), (START + until * SECOND if until else 0)
    room = Logs(folder, lambda: ())
    try:
        found = asyncio.run(read(room, since_ns=low, until_ns=high, tail=tail))
    finally:
        room.close()
    lines = [(one.time_ns, int(one.message.split()[0])) for batch in found for one in batch.lines]
    wanted = sorted(time for time, _ in written if time >= low and (not high or time < high))
    assert [time for time, _ in lines] == (wanted[-tail:] if tail else wanted)
    assert set(lines) <= set(written) and len(set(lines)) == len(lines)
    assert found[-1].caught_up and not any(batch.caught_up for batch in found[:-1])
    if not (tail or low or high):
        assert found[-1].scanned == len(written)


async def test_the_newest_of_a_large_file_are_found_from_its_end(tmp_path, logs):
    Writer(tmp_path / "api/api-1.log").put(*(line(START + i, f"{i}") for i in range(100_000)))
    found = await read(logs, names=("api",), tail=3)
    assert [one.message for batch in found for one in batch.lines] == ["99997", "99998", "99999"]
    assert found[-1].scanned < 5000
    assert await messages(logs, tail=2, grep="^12.4$") == ["1284", "1294"]


async def test_a_search_that_finds_nothing_tells_how_far_it_is(tmp_path, logs):
    Writer(tmp_path / "api/api-1.log").put(*(line(START + i, f"{i} " + "é" * 100) for i in range(60_000)))
    found = await read(logs, grep="^nowhere")
    assert [batch.lines for batch in found] == [()] * len(found)
    assert found[-1].scanned == 60_000
    assert [batch.scanned for batch in found] == sorted(batch.scanned for batch in found)


async def test_parts_of_a_line_are_put_together_wherever_blocks_end(tmp_path, logs):
    writer, whole = Writer(tmp_path / "api/api-1.log"), []
    for i in range(60):
        text = f"{i}:" + "abcdefgh" * 4000
        whole += [f"err {i}", text]
        writer.put(
            line(START + i * 10, text[:16_384], "stdout", "P"),
            line(START + i * 10 + 1, f"err {i}", "stderr"),
            line(START + i * 10 + 2, text[16_384:], "stdout"),
        )
    assert await messages(logs) == whole
    assert await messages(logs, tail=41) == whole[-41:]
    since = START + 301
    assert await messages(logs, since_ns=since) == [f"err {30}", *whole[61:]]
    assert await messages(logs, grep="^5[0-9]:") == whole[101::2]


async def test_a_line_that_is_too_long_to_join_stays_in_marked_parts(tmp_path, logs):
    writer = Writer(tmp_path / "api/api-1.log")
    writer.put(*(line(START + i, f"{i:02}" + "x" * 16_382, "stdout", "P") for i in range(40)), line(START + 41, "end"))
    found = [one for batch in await read(logs) for one in batch.lines]
    assert [one.partial for one in found] == [True, True, False]
    assert sum(len(one.message) for one in found) == 40 * 16_384 + 3


async def test_what_is_begun_at_the_end_is_given_as_a_part(tmp_path, logs):
    Writer(tmp_path / "api/api-1.log").put(line(START, "a"), line(START, "begun", "stderr", "P"))
    for query in ({}, {"tail": 5}):
        found = [one for batch in await read(logs, **query) for one in batch.lines]
        assert [(one.message, one.partial) for one in found] == [("a", False), ("begun", True)]


async def test_names(tmp_path, logs):
    for name in ("api/api-1", "api/api-2", "db/db-1", "agent"):
        Writer(tmp_path / f"{name}.log").put(line(START, name))
    assert sorted(await messages(logs)) == ["api/api-1", "api/api-2", "db/db-1"]
    assert sorted(await messages(logs, names=("api-2", "db"))) == ["api/api-2", "db/db-1"]
    assert await messages(logs, names=("agent",)) == ["agent"]
    assert await messages(logs, names=("declared",)) == []
    with pytest.raises(NotFound, match=r"cannot read the logs of webb: .*there are agent, api, db"):
        await messages(logs, names=("webb", "api"))
    with pytest.raises(UsageError):
        await messages(logs, grep="[")


async def test_no_log_folder_is_no_log(tmp_path):
    room = Logs(tmp_path / "none", lambda: {"api"})
    assert await messages(room, names=("api",)) == []
    assert await room.tail("agent", 3) == ()
    room.close()


async def test_the_last_lines_of_an_instance(tmp_path, logs):
    Writer(tmp_path / "api/api-1.log").put(*(line(START + i, f"{i}") for i in range(10)))
    assert [one.message for one in await logs.tail("api-1", 3)] == ["7", "8", "9"]


async def test_a_file_that_cannot_be_read_is_named(tmp_path, logs):
    (tmp_path / "api").mkdir()
    os.symlink("/etc/passwd", tmp_path / "api/api-1.log")
    with pytest.raises(BlackholeError, match=r"cannot read the logs: .*api-1\.log.*check the permissions"):
        await messages(logs)


class Consumer:
    """Follows in a task and keeps what comes."""

    def __init__(self, logs, **query):
        self.lines, self.told = [], asyncio.Event()
        self._task = asyncio.create_task(self._run(logs, LogsQuery(follow=True, **query)))

    async def _run(self, logs, query):
        async with aclosing(logs.read(query)) as reading:
            async for batch in reading:
                self.lines += batch.lines
                if batch.caught_up:
                    self.told.set()

    @property
    def messages(self):
        return [one.message for one in self.lines]

    async def has(self, count):
        async with asyncio.timeout(60):
            while len(self.lines) < count:
                assert not self._task.done() or self._task.result()
                await asyncio.sleep(0.005)

    async def end(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_following_goes_on_where_the_history_ends(tmp_path, logs):
    writer = Writer(tmp_path / "api/api-1.log")
    writer.put(*(line(START + i, f"old {i}") for i in range(5)))
    consumer = Consumer(logs, tail=2)
    await asyncio.wait_for(consumer.told.wait(), 60)
    assert consumer.messages == ["old 3", "old 4"]
    writer.put(line(START + 10, "new 1"))
    await consumer.has(3)
    Writer(tmp_path / "db/db-1.log").put(line(START + 20, "of an instance that was not there"))
    await consumer.has(4)
    assert consumer.messages[2:] == ["new 1", "of an instance that was not there"]
    await consumer.end()


actions = st.lists(st.sampled_from(["put", "put", "many", "rotate", "back", "pause", "unfinished"]), max_size=40)


@settings(max_examples=40, deadline=None)
@given(actions)
def test_following_gives_each_line_once_through_any_rotation(tmp_path_factory, spec):
    folder = tmp_path_factory.mktemp("f")

    async def run():
        room = Logs(folder, lambda: ())
        writer = Writer(folder / "api/api-1.log")
        consumer, count, now, rest = Consumer(room), 0, START, b""
        for action in spec:
            now += 1000
            if action == "rotate" and not rest:
                writer.rotate()
            elif action == "back" and not rest:
                now -= 3600 * SECOND
                writer.rotate()
            elif action == "pause":
                await asyncio.sleep(0.001)
            elif action == "unfinished" and not rest:
                whole = line(now, f"{count}")
                writer.first = writer.first or now
                half, rest, count = whole[:25], whole[25:], count + 1
                with writer.path.open("ab") as file:
                    file.write(half)
            else:
                many = 500 if action == "many" else 1
                lines = [line(now + i, f"{count + i}") for i in range(many)]
                count += many
                with writer.path.open("ab") as file:
                    file.write(rest + b"".join(lines))
                writer.first, rest = writer.first or now, b""
        if rest:
            writer.put(rest)
        await consumer.has(count)
        await consumer.end()
        room.close()
        assert sorted(map(int, consumer.messages)) == list(range(count))

    asyncio.run(run())


async def test_following_while_another_thread_writes_and_rotates(tmp_path, logs):
    """A real race: the writer never waits for the reader."""
    total, per_file = 60_000, 700
    Writer(tmp_path / "api/api-1.log")
    consumers = [Consumer(logs), Consumer(logs, names=("api",))]

    def write():
        writer, now = Writer(tmp_path / "api/api-1.log"), time.time_ns()
        for start in range(0, total, 100):
            writer.put(*(line(now + start + i, f"{start + i}") for i in range(100)))
            if start % per_file == 0:
                writer.rotate()

    thread = threading.Thread(target=write)
    thread.start()
    for consumer in consumers:
        await consumer.has(total)
        assert consumer.messages == [f"{i}" for i in range(total)]
        await consumer.end()
    thread.join()


async def test_following_what_the_keeper_itself_writes_and_rotates(tmp_path, logs):
    total = 40_000
    file = LogFile(str(tmp_path / "api/api-1.log"), max_bytes=50_000, keep=1000)
    file.open()
    consumer = Consumer(logs)
    await asyncio.wait_for(consumer.told.wait(), 60)

    def write():
        for start in range(0, total, 100):
            head = f"{stamp(file.now())} stdout F ".encode()
            text = b"".join(head + b"%d\n" % number for number in range(start, start + 100))
            file.write([text], len(text), 100)
        file.close()

    thread = threading.Thread(target=write)
    thread.start()
    await consumer.has(total)
    thread.join()
    assert consumer.messages == [f"{i}" for i in range(total)]
    assert len(list((tmp_path / "api").iterdir())) > 30
    await consumer.end()
    assert len(await messages(logs)) == total


async def test_a_reader_that_stands_still_loses_nothing(tmp_path, logs):
    writer = Writer(tmp_path / "api/api-1.log")
    writer.put(line(START, "0"))
    reading = logs.read(LogsQuery(follow=True))
    got = [one.message for one in (await anext(reading)).lines]
    for i in range(1, 20 * BATCH_LINES):
        if i % 1000 == 0:
            writer.rotate()
        writer.put(line(START + i, f"{i}"))
    async with asyncio.timeout(60):
        while len(got) < 20 * BATCH_LINES:
            batch = await anext(reading)
            assert len(batch.lines) <= BATCH_LINES
            got += [one.message for one in batch.lines]
    await reading.aclose()
    assert got == [f"{i}" for i in range(20 * BATCH_LINES)]


async def test_lines_removed_before_they_were_read_are_told(tmp_path, logs):
    writer = Writer(tmp_path / "api/api-1.log", keep=2)
    writer.put(line(START, "0"))
    reading = logs.read(LogsQuery(follow=True))
    assert (await anext(reading)).caught_up
    for i in range(1, 6):
        writer.rotate()
        writer.put(line(START + i, f"{i}"))
    got, dropped = [], 0
    async with asyncio.timeout(60):
        while "5" not in got:
            batch = await anext(reading)
            got += [one.message for one in batch.lines]
            dropped += batch.dropped
    await reading.aclose()
    assert got == ["3", "4", "5"]
    assert dropped == 1


async def test_a_truncated_or_replaced_file_is_read_from_its_start(tmp_path, logs):
    writer = Writer(tmp_path / "api/api-1.log")
    writer.put(line(START, "first and long enough"))
    consumer = Consumer(logs)
    await consumer.has(1)
    writer.path.write_bytes(line(START + 1, "cut"))
    await consumer.has(2)
    writer.path.unlink()
    writer.put(line(START + 2, "replaced"))
    await consumer.has(3)
    assert consumer.messages == ["first and long enough", "cut", "replaced"]
    await consumer.end()


async def test_a_cancelled_read_leaves_no_file_open(tmp_path):
    room = Logs(tmp_path, lambda: ())
    for i in range(1, 4):
        Writer(tmp_path / f"api/api-{i}.log").put(*(line(START + j, f"{j}") for j in range(30_000)))
    before = len(os.listdir("/proc/self/fd"))
    for grep in ("", "nowhere"):
        consumer = Consumer(room, grep=grep)
        await asyncio.sleep(0)
        await consumer.end()
    reading = room.read(LogsQuery(follow=True))
    await anext(reading)
    await reading.aclose()
    room.close()
    assert len(os.listdir("/proc/self/fd")) == before
