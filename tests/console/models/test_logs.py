import json

from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.entries import Entries, Entry
from bhtui.console.models.logs import UNFILTERED, LogFilter, LogModel, Same, crash_entry, refilter
from bhtui.console.models.match import parse
from bhtui.rpc.blackhole.v1 import events_pb2, logs_pb2

lines = st.lists(
    st.builds(
        Entry, time_ns=st.integers(0, 50).map(lambda n: n * 10**8), order=st.just(0), host=st.sampled_from(["a", "b"]),
        instance=st.just("api-1"), rank=st.integers(0, 6), message=st.sampled_from(["one", "two", "three"]),
    ),
    max_size=60,
)  # fmt: skip
WANTED = LogFilter(parse("t !three"), 2)


def passing(chosen: LogFilter, entries) -> list[Entry]:
    """Line by line, what the model does by column."""
    words = chosen.query.matches_line
    return [each for each in entries if each.rank >= chosen.rank and words(each.host, each.instance, each.message)]


def check(model: LogModel) -> None:
    assert model.entries == sorted(model.entries)
    wanted = passing(model.filter, model.entries)
    if model.filter == UNFILTERED:
        assert model.shown == wanted
    # What a filter looked for stays when the lines around it are gone.
    assert model.shown == sorted(model.shown)
    assert set(wanted) <= set(model.shown)
    assert model.shown == passing(model.filter, model.shown)
    assert len(model.shown) <= 2 * model.capacity
    total, warnings, errors = (sum(second[kind] for second in model.seconds.values()) for kind in range(3))
    assert total == len(model.shown)
    assert warnings == sum(entry.rank == 4 for entry in model.shown)
    assert errors == sum(entry.rank >= 5 for entry in model.shown)


@given(lines, lines, st.integers(5, 40))
def test_lines_are_in_time_order_filtered_counted_and_bounded(first, second, capacity):
    model = LogModel(capacity)
    model.extend(first)
    check(model)
    model.set_filter(WANTED)
    check(model)
    model.extend(second)
    check(model)
    assert len(model.entries) <= capacity
    assert len(model.entries) + model.evicted == len(first) + len(second)


@given(lines, lines)
def test_a_filter_made_by_a_worker_takes_in_what_came_meanwhile(first, second):
    model = LogModel(50)
    model.extend(first)
    snapshot, order = model.entries.copy(), model.order
    shown = refilter(snapshot, WANTED)
    model.extend(second)
    assert shown is not None
    model.install(WANTED, shown, order)
    check(model)


def test_a_worker_that_is_no_longer_wanted_stops():
    assert refilter(Entries.of([Entry(0, 0, "a", "b", 0, "c")]), WANTED, lambda: True) is None


def test_a_line_that_was_looked_for_outlives_a_flood():
    model = LogModel(10)
    model.set_filter(LogFilter(parse("needle")))
    model.extend([Entry(0, 0, "a", "i", 3, "needle")])
    model.extend(Entry(n, 0, "a", "i", 3, "hay") for n in range(1, 500))
    assert [entry.message for entry in model.shown] == ["needle"]
    model.set_filter(UNFILTERED)
    assert model.shown == model.entries


def test_lost_lines_are_counted_and_levels_known():
    model = LogModel()
    line = logs_pb2.LogLine(time_ns=5, instance="api-1", level="error", message="x")
    assert model.add("web", logs_pb2.LogBatch(lines=[line], dropped=3)) == 1
    assert model.lost == 3
    assert model.entries[0].rank == 5


def test_places_are_found_by_time_and_by_want():
    model = LogModel()
    model.extend(Entry(n * 10, 0, "a", "i", 5 if n % 3 == 0 else 3, str(n)) for n in range(10))
    assert model.shown[model.near(34)].message == "3"
    assert model.near(0) == 0
    assert model.find(0, 1, lambda entry: entry.rank >= 5) == 3
    assert model.find(0, -1, lambda entry: entry.rank >= 5) is None
    gone = model.shown[4]
    model.set_filter(LogFilter(parse("5")))
    assert model.shown[model.place(gone)].message == "5"


def test_clearing_keeps_the_filter():
    model = LogModel()
    model.set_filter(WANTED)
    model.clear()
    assert model.filter is WANTED
    assert model.seconds == {}
    assert model.span == (0, 0)


def test_a_crash_is_a_line_of_its_own():
    def state(to: str) -> events_pb2.Event:
        data = json.dumps({"from": "running", "to": to, "reason": "exit 1"})
        return events_pb2.Event(
            kind="instance.state", target="api-1", message=f"api-1 {to}: exit 1", data=data, time_ns=7
        )

    crash = crash_entry("web", state("backoff"))
    assert crash == Entry(7, 0, "web", "api-1", 5, "── exit 1 ──")
    assert crash_entry("web", state("stopped")) is None
    assert crash_entry("web", events_pb2.Event(kind="instance.health", target="api-1")) is None
    assert crash_entry("web", events_pb2.Event(kind="instance.state", target="api-1", data="no json")) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("ab")), max_size=30), st.integers(0, 30))
def test_pages_put_together_are_the_log(written, cut):
    """Whichever line the first page began with, also in the middle of those of one moment."""
    log = [
        logs_pb2.LogLine(time_ns=at, instance="i", message=text)
        for at, text in sorted(written, key=lambda line: line[0])
    ]
    model = LogModel()
    model.add("web", logs_pb2.LogBatch(lines=log[cut:]))
    first = model.first("web")
    model.add_older("web", [line for line in log if line.time_ns <= first] if log[cut:] else log)
    assert [(entry.time_ns, entry.message) for entry in model.shown] == [(line.time_ns, line.message) for line in log]


def test_a_line_is_found_among_those_of_its_moment():
    model = LogModel()
    model.extend(Entry(7, 0, "web", "i", 3, text) for text in "abc")
    assert model.find_line(Same(7, "i", "b")) == 1
    assert model.find_line(Same(7, "i", "none")) == 2
    assert LogModel().find_line(Same(7, "i", "b")) == 0


def test_what_a_reader_reads_does_not_fall_out():
    model = LogModel(10_000)
    model.extend(Entry(n, 0, "a", "i", 3, "x") for n in range(8_000))
    first, last = model.shown[0], model.shown[-1]
    assert model.room(first) < model.room(last)
    here = model.shown[5_000]
    while model.room(here) > 100:
        model.extend(Entry(10_000 + n, 0, "a", "i", 3, "x") for n in range(100))
    assert model.evicted
    assert model.entries.index(here) >= 1000
    # What a filter finds stays, however much goes by.
    model.set_filter(LogFilter(parse("nothing is so")))
    assert model.room(here) > 8_000


@given(lines, lines)
def test_lines_that_come_late_go_where_their_time_says(first, second):
    model = LogModel(1000)
    model.extend(sorted(first))
    model.extend(sorted(second))
    assert [entry.time_ns for entry in model.entries] == sorted(entry.time_ns for entry in first + second)
    assert model.judged == len(first) + len(second)
