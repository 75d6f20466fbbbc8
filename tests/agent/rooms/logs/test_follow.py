from dataclasses import dataclass, field

from bhtui.agent.rooms.logs.follow import MAX_HELD, REORDER_NS, Merger
from bhtui.core.logs import LogLine


def made(*times):
    return [LogLine(time, "s", "s-1", "stdout", "", f"{time}") for time in times]


@dataclass
class Scripted:
    """Gives what was prepared for each turn."""

    turns: list[tuple[list[LogLine], bool]] = field(default_factory=list)
    last_ns: int = 0

    @property
    def scanner(self):
        return self

    def poll(self, blocks=4):
        lines, is_busy = self.turns.pop(0) if self.turns else ([], False)
        self.last_ns = lines[-1].time_ns if lines else self.last_ns
        return lines, is_busy


def times(lines):
    return [line.time_ns for line in lines]


def test_a_line_stamped_while_a_round_is_read_waits_for_the_others():
    merger = Merger(lambda: 1000 + REORDER_NS)
    # 1001 was stamped after the round began, 1000.5 is written to the other file a moment too late for this round.
    one, other = Scripted([(made(900, 1001), False)]), Scripted([([], False), (made(1000), False)])
    assert times(merger.round([one, other])[0]) == [900]
    assert merger.is_holding
    assert times(merger.round([one, other])[0]) == [1000, 1001]
    assert not merger.is_holding


def test_a_stamp_in_the_future_is_not_held_for_ever():
    merger = Merger(lambda: 1000)
    one, other = Scripted([(made(10**18), False)]), Scripted()
    assert times(merger.round([one, other])[0]) == []
    assert times(merger.round([one, other])[0]) == [10**18]


def test_the_lines_of_one_alone_wait_for_nobody():
    merger = Merger(lambda: 1000)
    one = Scripted([(made(900, 1000, 950), True)])
    assert merger.round([one]) == (made(900, 1000, 950), True)
    assert not merger.is_holding


def test_lines_wait_for_an_instance_that_lags():
    merger = Merger(lambda: 10**12)
    behind, ahead = (
        Scripted([(made(10, 20), True), (made(30, 40), True), (made(60), False)]),
        Scripted([(made(15, 35, 50), False)]),
    )
    assert merger.round([behind, ahead]) == (made(10, 15, 20), True)
    assert merger.round([behind, ahead]) == (made(30, 35, 40), True)
    assert merger.round([behind, ahead]) == (made(50, 60), False)


def test_what_waits_is_bounded():
    merger = Merger(lambda: 10**12)
    behind, ahead = Scripted([(made(10), True)]), Scripted([(made(*range(100, 100 + MAX_HELD)), False)])
    assert len(merger.round([behind, ahead])[0]) == MAX_HELD + 1
    assert not merger.is_holding
