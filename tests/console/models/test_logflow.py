"""Batches of several hosts become lines that are ready to be shown."""

from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.logflow import Flow
from bhtui.console.models.logs import UNFILTERED, LogFilter, LogModel, tally
from bhtui.console.models.match import parse
from bhtui.core.logorder import AGE_NS
from bhtui.core.logs import LogBatch, LogLine
from bhtui.rpc.convert.logs import batch_to_message
from tests.console.models.test_logs import passing

START = 1_767_323_045_000_000_000
HOUR = 3600 * 10**9
WANTED = LogFilter(parse("!two"), 2)

# host, how long ago it was written, level, message, whether the host is live from then on, time until the next
steps = st.lists(
    st.tuples(
        st.sampled_from(["web1", "web2"]), st.integers(0, 2 * AGE_NS), st.sampled_from(["", "info", "error"]),
        st.sampled_from(["one", "two"]), st.booleans(), st.integers(0, AGE_NS),
    ),
    max_size=40,
)  # fmt: skip


def batch(*lines: LogLine, columns: bool = True, caught_up: bool = False, **more):
    return batch_to_message(LogBatch(lines, caught_up=caught_up, **more), columns)


def line(time_ns: int, message: str = "x", level: str = "info") -> LogLine:
    return LogLine(time_ns, "api", "api-1", "stdout", level, message)


@given(steps, st.booleans())
def test_every_line_arrives_once_in_order_and_filtered(spec, columns):
    flow, model, now = Flow(["web1", "web2"], {}), LogModel(), START
    model.set_filter(WANTED)
    for host, ago, level, message, caught_up, wait in spec:
        sent = batch(line(now - ago, message, level), columns=columns, caught_up=caught_up)
        model.take_block(flow.step([(host, sent)], model.filter, model.order, now))
        now += wait
    model.take_block(flow.step([], model.filter, model.order, now + AGE_NS))
    assert not flow.is_holding
    assert len(model.entries) == len(spec)
    assert model.entries == sorted(model.entries)
    assert len({entry.order for entry in model.entries}) == len(spec)
    assert model.shown == passing(WANTED, model.entries)
    assert model.seconds == tally(model.shown)


def test_only_what_comes_late_of_a_live_host_is_marked():
    flow = Flow(["web1", "web2"], {})
    block = flow.step(
        [("web1", batch(line(START), caught_up=True)), ("web2", batch(line(START - HOUR), caught_up=True))],
        UNFILTERED, 0, START,
    )  # fmt: skip
    assert [entry.late for entry in block.entries] == [False, False]
    now = START + 10**9
    flow.step([("web1", batch(line(now)))], UNFILTERED, 0, now)
    assert [entry.message for entry in flow.step([], UNFILTERED, 0, now + AGE_NS).entries] == ["x"]
    block = flow.step([("web2", batch(line(now - 1)))], UNFILTERED, 0, now + AGE_NS)
    assert [entry.late for entry in block.entries] == [True]


def test_a_clock_that_is_wrong_is_put_right_and_its_own_time_kept():
    flow = Flow(["web1", "web2"], {"web2": HOUR})
    block = flow.step([("web2", batch(line(START - HOUR)))], UNFILTERED, 0, START)
    [entry] = block.entries
    assert (entry.time_ns, entry.stamp_ns) == (START, START - HOUR)


def test_a_filter_that_was_changed_meanwhile_is_that_of_the_view():
    flow, model = Flow(["web1"], {}), LogModel()
    block = flow.step([("web1", batch(line(START, "one"), line(START, "two")))], UNFILTERED, 0, START)
    model.set_filter(LogFilter(parse("two")))
    assert model.take_block(block) == 1
    assert [entry.message for entry in model.shown] == ["two"]


def test_a_line_of_the_views_own_that_came_meanwhile_keeps_its_number():
    flow, model = Flow(["web1"], {}), LogModel()
    block = flow.step([("web1", batch(line(START)))], UNFILTERED, model.order, START)
    model.extend([block.entries[0]._replace(message="crash")])
    model.take_block(block)
    assert sorted(entry.order for entry in model.entries) == [1, 2]


def test_what_was_lost_and_looked_at_is_told():
    block = Flow(["web1"], {}).step([("web1", batch(scanned=7, dropped=2, caught_up=True))], UNFILTERED, 0, START)
    assert (block.dropped, block.scanned, block.caught_up) == (2, {"web1": 7}, True)
