"""Every line is read, in order, or counted as lost, whatever rotation, restarts and going back do in between."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.outputs import chains
from bhtui.agent.rooms.logs.outputs.chains import Chain
from bhtui.agent.rooms.logs.outputs.tail import Lost, Tail
from tests.agent.rooms.logs.logmaker import START, Writer, line

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 40)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("commit"), st.just(0)),
        st.tuples(st.just("rewind"), st.just(0)),
        st.tuples(st.just("let_go"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=60,
)


class Instance:
    """One instance's files, an output's place in them, and what it read."""

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.writer = Writer(folder / "api" / "api-1.log", keep)
        self.number = 0
        self.half: list[bytes] = []
        """The second part of a line of which only the first was written yet."""
        self.read: list[int] = []
        self.committed: list[int] = []
        self.lost: list[Lost] = []
        self.orders: dict[int, int] = {}
        self.now = 1000.0
        self.chain, self.tail = self._begin(None)

    def _begin(self, saved: dict | None) -> tuple[Chain, Tail]:
        chain = Chain("api", "api-1", self.writer.path, lambda held: self.tail.follow(held))
        there = chain.begin()
        tail = Tail(chain, -1)
        self.tail = tail
        lost = tail.begin([held.use() for held in there], saved, 0)
        for held in there:
            held.leave()
        self.lost += [lost] if lost else []
        return chain, tail

    def write(self, count: int) -> None:
        lines, self.half = self.half, []
        for _ in range(count):
            self.number += 1
            # Several of one moment, as the keeper stamps them; now and then one in parts, over a rotation too.
            time_ns = START + self.number // 4 * 1_000_000
            if self.number % 7 == 0:
                lines += [*self.half, line(time_ns, b"n %d" % self.number, flag="P")]
                self.half = [line(time_ns, b" end")]
            else:
                lines += [*self.half, line(time_ns, b"n %d" % self.number)]
                self.half = []
        self.writer.put(*lines)

    def rotate(self) -> None:
        self.writer.rotate()

    def look(self) -> None:
        self.chain.look()
        self.now += 10
        self.chain.look_at_removed(self.now)

    def take(self, count: int) -> None:
        for _ in range(count):
            for record in self.tail.read():
                if not record.text.startswith(b"n "):
                    continue  # the second part of a line whose first part was lost
                number = int(record.text.split()[1])
                assert self.lost or self.orders.setdefault(number, record.order_ns) == record.order_ns
                self.read.append(number)

    def commit(self) -> None:
        self.tail.commit(self.tail.position)
        self.committed += self.read
        self.read = []

    def rewind(self) -> None:
        self.lost += self.tail.rewind()
        self.read = []

    def let_go(self) -> None:
        self.now += chains.GRACE_SECONDS + 1
        self.lost += self.tail.let_go(self.now)

    def restart(self) -> None:
        saved = self.tail.saved()
        self.close()
        self.read = []
        self.chain, self.tail = self._begin(saved)

    def close(self) -> None:
        self.tail.close()
        self.chain.close()

    def finish(self) -> None:
        if self.half:
            self.write(0)
        for _ in range(200):
            self.look()
            self.take(5)
            if not self.tail.has_more:
                break
        self.commit()


@pytest.fixture
def instance(tmp_path):
    made = Instance(tmp_path)
    yield made
    made.close()


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_without_removal_every_line_is_committed_in_order(steps):
    folder = Path(tempfile.mkdtemp(prefix="bh-tail-"))
    made = Instance(folder, keep=1000)
    try:
        for name, count in steps:
            if name in ("write", "read"):
                (made.write if name == "write" else made.take)(count)
            else:
                getattr(made, name)()
        made.finish()
        # After going back lines come again, from the place on: without what is twice, it is every line in order.
        assert list(dict.fromkeys(made.committed)) == list(range(1, made.number + 1))
        assert made.lost == []
    finally:
        made.close()
        shutil.rmtree(folder)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_what_rotation_takes_is_told(steps):
    """While it runs the count is exact; over a restart it is told that some may be missing."""
    folder = Path(tempfile.mkdtemp(prefix="bh-tail-"))
    made = Instance(folder, keep=1)
    try:
        for name, count in steps:
            if name in ("write", "read"):
                (made.write if name == "write" else made.take)(count)
                made.look()
            else:
                getattr(made, name)()
        made.finish()
        missing = set(range(1, made.number + 1)) - set(made.committed)
        known = sum(lost.lines for lost in made.lost if lost.lines > 0)
        if missing:
            # A line in two parts is two lines of the file.
            assert any(lost.lines < 0 for lost in made.lost) or known >= len(missing)
    finally:
        made.close()
        shutil.rmtree(folder)


def test_what_is_lost_is_counted_to_the_line(instance):
    instance.write(6)
    instance.take(1)
    instance.commit()
    instance.write(4)
    for _ in range(6):
        instance.rotate()
        instance.write(2)
        instance.look()
    instance.let_go()
    instance.finish()
    assert sorted({*instance.committed}) == [1, 2, 3, 4, 5, 6, *range(15, 23)]
    first = instance.lost[0]
    assert sum(lost.lines for lost in instance.lost) == 8 + 1  # 7 is two lines; the end of 14 is in the next file
    assert first.since_ns == START + 7 // 4 * 1_000_000 and first.until_ns == START + 11 // 4 * 1_000_000


def test_a_removed_file_is_read_to_its_end_while_it_is_held(instance):
    instance.write(5)
    instance.look()
    for _ in range(5):
        instance.rotate()
        instance.write(5)
        instance.look()
    instance.finish()
    assert instance.committed == list(range(1, 31))
    assert instance.lost == []


def test_a_file_that_waits_is_read_though_the_one_before_it_is_gone_with_the_forwarder(instance):
    instance.write(3)
    instance.take(1)
    instance.commit()
    for _ in range(2):
        instance.rotate()
        instance.write(2)
        instance.look()
    saved = instance.tail.saved()
    instance.close()
    first = min(instance.writer.path.parent.glob("*Z.log"))
    first.unlink()
    instance.chain, instance.tail = instance._begin(saved)
    instance.finish()
    assert instance.committed == [1, 2, 3, 4, 5, 6, 7] and len(instance.lost) == 1


def test_an_inode_that_is_used_again_is_another_file(instance):
    instance.write(3)
    instance.take(1)
    instance.commit()
    saved = instance.tail.saved()
    instance.close()
    instance.writer.path.unlink()
    instance.write(3)  # often in the very inode that has just become free
    saved["ino"] = instance.writer.path.stat().st_ino
    instance.committed, instance.read = [], []
    instance.chain, instance.tail = instance._begin(saved)
    instance.finish()
    assert instance.committed == [4, 5, 6]
    assert [lost.lines for lost in instance.lost] == [-1]


@pytest.mark.parametrize("refilled", [0, 2, 40])
def test_a_file_that_is_emptied_and_filled_again_is_read_from_its_start(instance, refilled):
    instance.write(10)
    instance.look()
    instance.take(1)
    instance.commit()
    with instance.writer.path.open("r+b") as file:  # as `copytruncate` of logrotate does
        file.truncate(0)
    instance.write(refilled) if refilled else None
    instance.finish()
    instance.write(3)
    instance.finish()
    assert instance.committed == list(range(1, 13 + refilled + 1))


def test_lines_the_keeper_took_back_are_not_waited_for(instance):
    instance.write(5)
    size = instance.writer.path.stat().st_size
    instance.write(5)
    instance.look()
    instance.take(2)
    with instance.writer.path.open("r+b") as file:  # they found no room on the disk
        file.truncate(size)
    instance.orders.clear()
    instance.write(2)
    instance.finish()
    assert list(dict.fromkeys(instance.committed)) == list(range(1, 13))


def test_a_new_output_begins_at_a_time(tmp_path):
    made = Instance(tmp_path)
    made.write(40)
    made.rotate()
    made.write(40)
    made.close()
    chain = Chain("api", "api-1", made.writer.path, lambda held: None)
    tail = Tail(chain, -1)
    there = chain.begin()
    tail.begin(there, None, START + 50 // 4 * 1_000_000)
    found = [int(record.text.split()[1]) for _ in range(3) for record in tail.read()]
    assert found == list(range(48, 81))
    tail.close()
    chain.close()


def test_what_waits_is_known(instance):
    instance.write(100)
    instance.look()
    assert instance.tail.behind(True) == instance.writer.path.stat().st_size
    assert instance.tail.oldest_ns(True) == START
    instance.take(2)
    assert instance.tail.behind(False) == 0 and instance.tail.behind(True) > 0
    instance.commit()
    assert instance.tail.behind(True) == 0 and instance.tail.oldest_ns(True) == 0


def test_no_descriptor_is_left(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    made = Instance(tmp_path)
    for _ in range(20):
        made.write(5)
        made.rotate()
        made.look()
    made.finish()
    made.look()
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 4
    made.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
