"""A pump on real files with a sink that does what the test says: what it takes, refuses, loses."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from bhtui.agent.rooms.logs.outputs import chains, pump
from bhtui.agent.rooms.logs.outputs.chains import Chain
from bhtui.agent.rooms.logs.outputs.cursors import Cursors
from bhtui.agent.rooms.logs.outputs.deadletter import DeadLetters
from bhtui.agent.rooms.logs.outputs.model import TAKEN, Outcome, Record, Rejected, SinkDown
from bhtui.agent.rooms.logs.outputs.pump import Pump
from bhtui.agent.rooms.logs.outputs.tail import Lost
from bhtui.core.outputs import OutputSpec
from tests.agent.rooms.logs.logmaker import START, Writer, line
from tests.waiting import until


class Scripted:
    """`act` decides what becomes of a batch; what it lets through is in `got`."""

    target = "the test"

    def __init__(self, settle: float = 0.0) -> None:
        self.settle_seconds = settle
        self.got: list[str] = []
        self.sendings = 0
        self.act: Callable[[Sequence[Record]], Outcome] = lambda records: TAKEN
        self.is_broken = False
        self.is_slow = False
        self.closes = True

    def send(self, records: Sequence[Record]) -> Outcome:
        self.sendings += 1
        outcome = self.act(records)
        left = {*outcome.again, *(index for index, _ in outcome.rejected)}
        self.got += [record.text.decode() for index, record in enumerate(records) if index not in left]
        return outcome

    def check(self) -> bool:
        if self.is_broken:
            self.is_broken = False
            raise SinkDown("the connection was lost")
        return not self.is_slow

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> bool:
        return self.closes


class Bench:
    """An output over some instances; `look` is what the looking thread does."""

    def __init__(self, folder, sink: Scripted, **spec) -> None:
        self.folder, self.sink = folder, sink
        self.spec = OutputSpec("out", "test", **spec)
        self.lost: list[Lost] = []
        self.writers = {name: Writer(folder / "api" / f"{name}.log", keep=2) for name in ("api-1", "api-2")}
        self.numbers = dict.fromkeys(self.writers, 0)
        self.dead = DeadLetters(folder, "out")
        self.pump: Pump | None = None
        self.chains: list[Chain] = []
        self._is_looking = threading.Event()
        self._looker: threading.Thread | None = None

    def write(self, count: int, name: str = "api-1", text: str = "") -> None:
        for _ in range(count):
            self.numbers[name] += 1
            number = self.numbers[name]
            self.writers[name].put(line(START + number * 1000, text or f"{name} {number}"))

    def start(self, begun_ns: int = 0) -> Pump:
        self.pump = Pump(
            self.spec, self.sink, Cursors(self.folder, "out"), self.dead, lambda _, lost: self.lost.append(lost)
        )
        self.pump.load(begun_ns)
        self.chains = []
        for name, writer in self.writers.items():
            tails = []
            chain = Chain("api", name, writer.path, lambda held, tails=tails: [tail.follow(held) for tail in tails])
            there = chain.begin()
            tails.append(self.pump.add(chain, [held.use() for held in there], was_there=True))
            for held in there:
                held.leave()
            self.chains.append(chain)
        self.pump.start()
        self._is_looking.set()
        self._looker = threading.Thread(target=self._look)
        self._looker.start()
        return self.pump

    def _look(self) -> None:
        while self._is_looking.is_set():
            for chain in self.chains:
                if chain.look():
                    self.pump.wake.set()
                chain.look_at_removed(time.monotonic())
            time.sleep(0.01)

    def stop(self) -> None:
        self.pump.stop()
        self.pump.join(60)
        assert not self.pump.is_running
        self.kill()

    def kill(self) -> None:
        """Without a word to the pump: its thread is left to itself, as nothing can end it."""
        if self._looker:
            self._is_looking.clear()
            self._looker.join()
            self._looker = None
            for chain in self.chains:
                chain.close()

    def expected(self) -> set[str]:
        return {f"{name} {number}" for name, last in self.numbers.items() for number in range(1, last + 1)}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    from bhtui.agent.outbound import backoff

    monkeypatch.setattr(backoff, "LONGEST", 0.05)
    monkeypatch.setattr(pump, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(pump, "SAVE_SECONDS", 0.02)


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path, Scripted())
    yield made
    if made._looker:
        made.stop()


def settled(bench: Bench) -> None:
    until(lambda: set(bench.sink.got) >= bench.expected(), what=f"all of {len(bench.expected())} lines")


def test_lines_come_once_and_in_the_order_of_their_instance(bench):
    bench.write(300)
    bench.write(200, "api-2")
    bench.start()
    bench.write(50)
    settled(bench)
    assert len(bench.sink.got) == 550
    for name in bench.writers:
        own = [text for text in bench.sink.got if text.startswith(f"{name} ")]
        assert own == sorted(own, key=lambda text: int(text.split()[1]))
    until(lambda: bench.pump.status.behind_bytes == 0 and bench.pump.status.state == "ok")
    assert bench.pump.status.sent == 550 and bench.pump.status.retried == 0


def test_it_goes_on_after_failures_with_the_same_lines(bench):
    failures = iter(range(6))

    def act(records):
        if next(failures, None) is not None:
            raise SinkDown("not now")
        return TAKEN

    bench.sink.act = act
    bench.write(100)
    bench.start()
    settled(bench)
    assert len(bench.sink.got) == 100
    assert bench.pump.status.retried == 600 and bench.pump.status.last_error == "not now"
    until(lambda: bench.pump.status.state == "ok" and not bench.pump.status.failing_since_ns)


def test_what_was_taken_in_part_is_sent_in_part(bench):
    tries: dict[bytes, int] = {}

    def act(records):
        for record in records:
            tries[record.text] = tries.get(record.text, 0) + 1
        again = tuple(
            index for index, record in enumerate(records) if record.text.endswith(b"7") and tries[record.text] < 3
        )
        rejected = tuple((index, "400 no") for index, record in enumerate(records) if record.text.endswith(b"5"))
        return Outcome(rejected, again, "429 busy" if again else "")

    bench.sink.act = act
    bench.write(100)
    bench.start()
    until(lambda: bench.pump.status.sent == 90)
    assert set(tries.values()) == {1, 3}
    assert bench.pump.status.dead_lettered == 10 and bench.pump.status.retried == 20
    dead = [json.loads(text) for text in bench.dead.path.read_text().splitlines()]
    assert [each["message"] for each in dead] == [f"api-1 {number}5" for number in ("", *range(1, 10))]
    assert {each["why"] for each in dead} == {"400 no"} and dead[0]["instance"] == "api-1"
    assert bench.dead.path.stat().st_mode & 0o777 == 0o600


def test_a_batch_that_is_refused_is_halved_until_the_line_at_fault_is_found(bench):
    def act(records):
        if any(record.text == b"api-1 33" for record in records):
            raise Rejected("413 too large")
        return TAKEN

    bench.sink.act = act
    bench.write(100)
    bench.start()
    until(lambda: bench.pump.status.dead_lettered == 1)
    until(lambda: len(bench.sink.got) == 99)
    assert bench.sink.got == [f"api-1 {number}" for number in range(1, 101) if number != 33]
    assert bench.sink.sendings <= 16


def test_a_refused_line_that_cannot_be_kept_is_counted_as_dropped(bench):
    bench.dead.path.mkdir()
    bench.sink.act = lambda records: Outcome(((0, "400 no"),))
    bench.write(1)
    bench.start()
    until(lambda: bench.pump.status.dropped == 1)
    assert "could not be kept" in bench.pump.status.last_error


def test_it_goes_on_where_it_was_and_sends_nothing_twice(bench):
    bench.write(100)
    bench.start()
    settled(bench)
    bench.stop()
    bench.write(10)
    bench.writers["api-1"].rotate()
    bench.write(10)
    bench.start()
    settled(bench)
    assert len(bench.sink.got) == 120


def test_what_was_not_taken_when_it_ended_comes_after(bench):
    bench.sink.act = _down
    bench.write(50)
    bench.start()
    until(lambda: bench.pump.status.failing_since_ns)
    bench.stop()
    bench.sink.act = lambda records: TAKEN
    bench.start()
    settled(bench)
    assert len(bench.sink.got) == 50


def _down(records):
    raise SinkDown("not there")


def test_a_new_output_begins_now_and_one_with_backlog_at_the_beginning(tmp_path):
    for backlog, expected in ((False, 5), (True, 25)):
        folder = tmp_path / str(backlog)
        folder.mkdir()
        bench = Bench(folder, Scripted(), backlog=backlog)
        bench.write(20)
        bench.start(begun_ns=START + 21 * 1000)
        bench.write(5)
        until(lambda bench=bench, expected=expected: len(bench.sink.got) == expected)
        bench.stop()


def test_it_ends_although_lines_are_always_put_off(bench):
    bench.sink.act = lambda records: Outcome((), tuple(range(len(records))), "429 busy")
    bench.write(5)
    bench.start()
    until(lambda: bench.sink.sendings > 2)
    bench.stop()
    bench.sink.act = lambda records: TAKEN
    bench.start()
    settled(bench)


def test_an_output_that_never_sent_does_not_begin_anew(bench):
    """What came while its first receiver was away is sent by the next agent too."""
    bench.sink.act = _down
    bench.start(begun_ns=START)
    bench.write(5)
    until(lambda: bench.pump.status.failing_since_ns)
    bench.stop()
    bench.sink.act = lambda records: TAKEN
    bench.start(begun_ns=START + 10**12)
    settled(bench)


def test_a_damaged_place_means_everything_once_more(bench):
    bench.write(20)
    bench.start()
    settled(bench)
    bench.stop()
    Cursors(bench.folder, "out").path.write_text('{"places": {"api/api-1": {"ino": "x"}}}')
    bench.sink.got.clear()
    bench.start(begun_ns=START + 10**12)
    settled(bench)
    assert "once more" in bench.pump.status.last_error


def test_only_levels_that_are_wanted_are_sent_and_the_place_moves_all_the_same(tmp_path):
    bench = Bench(tmp_path, Scripted(), level="warning")
    bench.write(50, text="INFO nothing")
    bench.write(1, text="ERROR something")
    bench.write(50, text="no level")
    bench.start()
    until(lambda: bench.sink.got == ["ERROR something"])
    until(lambda: bench.pump.status.behind_bytes == 0)
    bench.stop()


def test_a_place_that_cannot_be_kept_holds_nothing_up_and_is_told_once(bench, monkeypatch, caplog):
    def full(self, places):
        raise OSError(28, "No space left on device")

    save = Cursors.save
    monkeypatch.setattr(Cursors, "save", full)
    bench.start()
    for _ in range(5):
        bench.write(20)
        settled(bench)
    until(lambda: caplog.messages)
    assert caplog.messages == [
        "output out: its place is not kept for now, lines may be sent twice: No space left on device"
    ]
    monkeypatch.setattr(Cursors, "save", save)
    until(lambda: Cursors(bench.folder, "out").load())
    assert len(bench.sink.got) == 100


# ---- without receipts ------------------------------------------------------------------------------------------------


@pytest.fixture
def unsure(tmp_path):
    made = Bench(tmp_path, Scripted(settle=0.3))
    yield made
    if made._looker:
        made.stop()


def test_what_was_lost_on_its_way_is_sent_again(unsure):
    unsure.write(20)
    unsure.start()
    settled(unsure)
    unsure.sink.got.clear()  # the receiver died with it
    unsure.sink.is_broken = True
    settled(unsure)
    assert unsure.pump.status.retried >= 20


def test_what_is_not_acknowledged_yet_is_waited_for_and_not_sent_again(unsure):
    unsure.sink.is_slow = True
    unsure.write(20)
    unsure.start()
    settled(unsure)
    until(lambda: time.monotonic() - unsure.pump._sent[0].at > 2 * unsure.sink.settle_seconds)
    assert unsure.pump._sent and len(unsure.sink.got) == 20
    unsure.sink.is_slow = False
    until(lambda: not unsure.pump._sent)
    assert len(unsure.sink.got) == 20 and unsure.pump.status.retried == 0


def test_what_settled_is_not_sent_again(unsure):
    unsure.write(20)
    unsure.start()
    settled(unsure)
    until(lambda: "api/api-1" in json.loads(Cursors(unsure.folder, "out").path.read_text())["places"])
    size = unsure.writers["api-1"].path.stat().st_size

    def place() -> int:
        return json.loads(Cursors(unsure.folder, "out").path.read_text())["places"]["api/api-1"]["offset"]

    until(lambda: place() == size)
    unsure.write(5)
    until(lambda: len(unsure.sink.got) == 25)
    unsure.sink.is_broken = True
    until(lambda: len(unsure.sink.got) == 30)
    assert unsure.sink.got[25:] == [f"api-1 {number}" for number in range(21, 26)]


def test_an_end_that_is_known_to_be_good_settles_everything(unsure):
    for closes, again in ((True, 0), (False, 10)):
        unsure.sink.closes = closes
        unsure.sink.got.clear()
        unsure.write(10)
        unsure.start()
        until(lambda: len(unsure.sink.got) >= 10)
        unsure.stop()
        unsure.sink.got.clear()
        unsure.start()
        until(lambda again=again: len(unsure.sink.got) == again)
        unsure.stop()


# ---- bounds ----------------------------------------------------------------------------------------------------------


def test_what_rotation_took_from_an_output_that_is_down_is_counted(bench, monkeypatch):
    monkeypatch.setattr(chains, "GRACE_SECONDS", 0.1)
    bench.sink.act = _down
    bench.write(10)
    bench.start()
    until(lambda: bench.pump.status.failing_since_ns)
    for _ in range(5):
        bench.writers["api-1"].rotate()
        bench.write(10)
        until(lambda: bench.chains[0]._active.ino == bench.writers["api-1"].path.stat().st_ino)
    until(lambda: bench.pump.status.dropped == 20)  # of six files three are kept, and the first batch is in hand
    bench.sink.act = lambda records: TAKEN
    until(lambda: len(bench.sink.got) == 40)
    assert bench.sink.got == [f"api-1 {number}" for number in (*range(1, 11), *range(31, 61))]
    assert [lost.lines for lost in bench.lost] == [10, 10]
    assert bench.pump.status.sent + bench.pump.status.dropped == 60


def test_memory_and_descriptors_do_not_grow_with_what_waits(bench):
    before = len(os.listdir("/proc/self/fd"))
    bench.sink.act = _down
    bench.start()
    for _ in range(20):
        bench.write(500, text="x" * 500)
    until(lambda: bench.pump.status.behind_bytes > 5_000_000)
    assert len(os.listdir("/proc/self/fd")) < before + 60
    bench.sink.act = lambda records: TAKEN
    until(lambda: len(bench.sink.got) == 10_000)
    assert bench.pump.status.behind_bytes == 0 or until(lambda: bench.pump.status.behind_bytes == 0) is True
