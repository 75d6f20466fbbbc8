"""Many hosts' lines in one order: sorted within the window, each once, late ones said to be so, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.logcolumns import Lines, origin
from bhtui.core.logorder import AGE_NS, TOLERANCE_NS, Offset, Window

HOUR = 3600 * 10**9
START = 1_767_323_045_000_000_000

OF = origin("web", "api", "api-1", 3)


def lines(*written: tuple[int, str]) -> Lines:
    return Lines([key for key, _ in written], [OF] * len(written), [text for _, text in written])


def release(window: Window, now: int) -> tuple[list[str], int]:
    out, late = window.release(now)
    assert len(out.times) == len(out.origins) == len(out.messages)
    return out.messages, late


# source, how long ago its next lines were written, how many, and how long it takes until the next step
steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.integers(0, AGE_NS * 3), st.sampled_from([0, HOUR, -HOUR, AGE_NS, AGE_NS + 1])),
        st.integers(1, 5),
        st.integers(0, AGE_NS),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 12))
def test_whatever_comes_when(spec, most):
    window, now, pushed, out = Window("abc", most=most), START, [], []
    given_at = {}
    for source, ago, count, wait in spec:
        keys = sorted(now - ago + n for n in range(count))
        window.push(source, lines(*((key, str(len(pushed) + n)) for n, key in enumerate(keys))), now)
        pushed += [(min(key, now), now) for key in keys]
        now += wait
        watermark = window.watermark
        found, late = release(window, now)
        items = [int(text) for text in found]
        assert items == sorted(items, key=lambda number: pushed[number][0])
        assert all(pushed[number][0] < watermark for number in items[:late])
        assert all(pushed[number][0] >= watermark for number in items[late:])
        assert len(window) <= most
        out += items
        given_at |= dict.fromkeys(items, now)
    rest = [int(text) for text in window.flush()[0].messages]
    assert sorted(out + rest) == list(range(len(pushed)))  # each exactly once
    assert not len(window)
    # None waits for longer than the window is old, whatever the clocks and the other hosts do.
    assert all(now < pushed[number][1] + AGE_NS for number in rest)
    keys = [pushed[number][0] for number in out]
    timely = [key for place, key in enumerate(keys) if key >= max(keys[:place], default=0)]
    assert timely == sorted(timely)


@given(st.lists(st.lists(st.integers(0, 50)).map(sorted), min_size=1, max_size=4))
def test_without_an_age_it_is_a_merge(parts):
    names = [str(place) for place in range(len(parts))]
    window, left, got = Window(names, age_ns=None, most=10**9), dict(zip(names, parts, strict=True)), []
    while window.sources:
        name = window.behind
        if left[name]:
            window.push(name, lines(*((key, "") for key in left[name][:2])), 100)
            left[name] = left[name][2:]
        else:
            window.end(name)
        items, late = window.release(0)
        assert not late
        got += items.times
    got += window.flush()[0].times
    assert got == sorted(number for part in parts for number in part)


def test_lines_go_out_as_soon_as_every_host_has_come_as_far():
    window = Window("ab")
    window.push("a", lines((START, "a1"), (START + 1000, "a2")), START + 2000)
    assert release(window, START + 2000) == ([], 0)
    window.push("b", lines((START + 500, "b1")), START + 2000)
    assert release(window, START + 2000) == (["a1", "b1"], 0)
    assert release(window, START + 1000 + AGE_NS) == (["a2"], 0)


def test_a_clock_an_hour_ahead_makes_nobody_late_and_waits_for_nobody():
    window = Window("ab")
    window.push("a", lines((START + HOUR, "from tomorrow")), START)
    assert release(window, START + AGE_NS) == (["from tomorrow"], 0)
    window.push("b", lines((START + AGE_NS, "now")), START + AGE_NS)
    assert release(window, START + 2 * AGE_NS) == (["now"], 0)


def test_a_host_that_is_behind_is_late_and_holds_nobody_up():
    window = Window("ab")
    window.push("a", lines((START, "now")), START)
    window.push("b", lines((START - HOUR, "long ago")), START)
    assert release(window, START) == (["long ago"], 0)
    assert release(window, START + AGE_NS) == (["now"], 0)
    window.push("b", lines((START - HOUR + 1, "long ago, too")), START + AGE_NS)
    assert release(window, START + AGE_NS) == (["long ago, too"], 1)


def test_lines_of_one_moment_stay_in_the_order_of_their_host():
    window = Window("a")
    window.push("a", lines(*((START, text) for text in "123")), START)
    assert release(window, START)[0] == ["1", "2", "3"]


def test_an_offset_is_what_a_clock_is_wrong_by():
    offset, minute = Offset(), 60 * 10**9
    assert not offset.measure(START, START - TOLERANCE_NS, START + TOLERANCE_NS)
    assert offset.measure(START - HOUR, START, START + 5)
    assert offset.ns == HOUR
    assert not offset.measure(START - HOUR, START - minute, START + minute)  # an answer that took long says nothing
    assert offset.measure(START + minute, START + minute, START + minute + 5)  # somebody has set the clock
    assert offset.ns == 0
    assert offset.measure(START + HOUR, START, START + 5)
    assert offset.ns == 5 - HOUR
    assert not offset.measure(0, START, START)  # an agent that does not say


@given(st.integers(-2 * HOUR, 2 * HOUR), st.lists(st.tuples(st.integers(0, HOUR), st.integers(0, HOUR)), max_size=8))
def test_a_right_clock_is_never_taken_for_wrong_and_a_wrong_one_never_overdone(wrong, answers):
    """By an answer that was under way for any time before and after the host looked at its clock."""
    offset = Offset()
    for before, after in answers:
        offset.measure(START - wrong, START - before, START + after)
        assert min(0, wrong) <= offset.ns <= max(0, wrong)
