"""`logs stats` and `logs histogram`: what is counted is shown once, whatever the stretches of the hosts."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli.verbs.logs.count import SECOND, STRETCHES, draw, stretches
from bhtui.core.logs import BUCKETS, LogCount, LogCounts

HOSTS = st.lists(
    st.tuples(
        st.sampled_from(BUCKETS[:9]),
        st.lists(
            st.tuples(st.sampled_from(["", "info", "error", "fatal"]), st.integers(0, 39), st.integers(1, 99)),
            min_size=1,
            max_size=8,
        ),
    ),
    min_size=1,
    max_size=4,
)


def counted(hosts):
    return [
        LogCounts(
            tuple(LogCount("s", "s-1", level, at * bucket, lines, 1) for level, at, lines in some), bucket, 0, True
        )
        for bucket, some in hosts
    ]


@given(HOSTS)
def test_every_line_is_in_one_stretch_and_all_stretches_follow_each_other(hosts):
    found = counted(hosts)
    bucket, bars = stretches(found)
    assert len(bars) <= STRETCHES
    assert [start for start, _ in bars] == [bars[0][0] + at * bucket for at in range(len(bars))]
    assert sum(bar.total() for _, bar in bars) == sum(each.lines for one in found for each in one.counts)
    for one in found:
        for each in one.counts:
            assert any(start <= each.start_ns < start + bucket for start, _ in bars)


def test_a_bar_shows_its_levels_the_most_serious_first():
    counts = (LogCount("s", "s-1", "info", 0, 30, 1), LogCount("s", "s-1", "error", 0, 1, 1))
    more = LogCount("s", "s-1", "", 2 * SECOND, 2, 1)
    lines = draw(stretches([LogCounts((*counts, more), SECOND, 33, done=True)])[1]).splitlines()
    assert re.fullmatch(r"FROM +LINES  ERRORS", lines[0])
    assert re.fullmatch(r"\S+ \S+ +31 +1  Ei+", lines[1])
    assert re.fullmatch(r"\S+ \S+ +0 +-", lines[2])
    assert re.fullmatch(r"\S+ \S+ +2 +-  \.+", lines[3])


def test_nothing_is_no_stretch():
    assert stretches([]) == (0, [])
