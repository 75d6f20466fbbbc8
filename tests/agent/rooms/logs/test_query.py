import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.query import Matcher, check, literals
from bhtui.agent.rooms.logs.scan import Scanner
from bhtui.core.errors import UsageError
from bhtui.core.logs import LogsQuery
from tests.agent.rooms.logs.logmaker import START, line

patterns = st.text("abAB. *+?|()[]^$\\dwsSbx{}12=:-é", max_size=10)
texts = st.lists(st.text("abAB 12=:-é\\x", max_size=12), max_size=8)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=500, deadline=None)
@given(patterns, st.lists(st.text("abAB 12=:-é\\x", max_size=12), max_size=6))
def test_every_match_contains_the_literals(pattern, candidates):
    assume(compiles(pattern))
    for text in candidates:
        if (match := re.search(pattern, text)) is not None:
            assert all(literal in match[0] for literal in literals(pattern))


def compiles(pattern):
    try:
        re.compile(pattern)
    except (re.error, FutureWarning):
        return False
    return True


@settings(max_examples=500, deadline=None)
@given(patterns, texts, st.booleans(), st.booleans())
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_search_in_blocks_equals_a_search_in_each_line(pattern, lines, ignore_case, invert):
    assume(compiles(pattern))
    block = b"".join(line(START + i, text) for i, text in enumerate(lines))
    query = LogsQuery(grep=pattern, ignore_case=ignore_case, invert=invert)
    found = [one.message for one in Scanner("s", "s-1", Matcher(query)).feed(block)]
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    assert found == [text for text in lines if not pattern or bool(re.search(pattern, text, flags)) != invert]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("timeout", ["timeout"]),
        (r"timeout after \d+ms", ["timeout after ", "ms"]),
        (r"a\.b+c", ["a.b", "c"]),
        ("x{2}abc", ["abc"]),
        ("colou?r", ["colo", "r"]),
        (r"[\]]x]y", ["x]y"]),
        ("a|b", []),
        (r"\x41bc", []),
    ],
)
def test_literals_of_a_pattern(pattern, expected):
    assert literals(pattern) == expected


def test_the_head_of_a_line_is_not_searched():
    block = line(START, "one", "stdout") + line(START, "two stdout", "stderr")
    assert [one.message for one in Scanner("s", "s-1", Matcher(LogsQuery(grep="stdout"))).feed(block)] == ["two stdout"]


def test_the_lowest_level_is_a_bound():
    block = line(START, "INFO a") + line(START, "nothing") + line(START, "ERROR b") + line(START, "[fatal] c")
    found = Scanner("s", "s-1", Matcher(LogsQuery(level="warning"))).feed(block)
    assert [(one.level, one.message) for one in found] == [("error", "ERROR b"), ("fatal", "[fatal] c")]


def test_bytes_that_are_not_utf8_are_shown_escaped_and_found_by_a_dot():
    block = line(START, b"a\xff\xfeb") + line(START, "aéb")
    found = Scanner("s", "s-1", Matcher(LogsQuery(grep="^a..b$|aéb"))).feed(block)
    assert [one.message for one in found] == ["a\\xff\\xfeb", "aéb"]


@pytest.mark.parametrize(
    "query",
    [
        LogsQuery(grep="("),
        LogsQuery(level="loud"),
        LogsQuery(tail=10**9),
        LogsQuery(tail=-1),
        LogsQuery(follow=True, until_ns=1),
    ],
)
def test_what_contradicts_itself_is_refused(query):
    with pytest.raises(UsageError, match=r"^cannot "):
        Matcher(query)
    if not query.grep:
        with pytest.raises(UsageError):
            check(query)
