import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.query import Matcher
from bhtui.console.models.match import host_side, parse, parse_log
from bhtui.core.logs import LogsQuery


def test_words_must_all_be_there_and_inverse_ones_must_not():
    query = parse("timeout|refused !health")
    assert query.matches("upstream timeout")
    assert query.matches("connection refused")
    assert not query.matches("health timeout")
    assert not query.matches("all well")


def test_lower_case_finds_either_case_and_upper_case_only_itself():
    assert parse("error").matches("ERROR here")
    assert not parse("Error").matches("ERROR here")


def test_two_words_in_quotes_are_one():
    assert parse('"two words"').matches("these two words")
    assert not parse('"two words"').matches("two other words")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_query(text, line):
    query = parse(text)
    query.matches(line)
    assert all(0 <= start < end <= len(line) for start, end in query.spans(line))


def test_a_half_typed_expression_is_searched_as_it_stands():
    assert parse("(").matches("f(x)")
    assert parse("!").matches("anything")


def test_hits_do_not_overlap():
    assert parse("ab bc").spans("abc bc") == [(0, 2), (4, 6)]


JSON = '{"msg":"served","status":503,"user":"ann"}'


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("status>=500", True),
        ("status<500", False),
        ("!status>=500", False),
        ("user=ann served", True),
        ("user=ann refused", False),
        ("user~^a", True),
        ("user!=bo", True),
        ("none!=1", True),
        ("status>=", False),  # half typed: a text that is not there
        ("status>x", False),
        ('"status=503"', False),
        ("a==b", False),
    ],
)
def test_a_log_filter_looks_into_fields(text, passes):
    assert parse_log(text).matches_line("web", "api-1", JSON) is passes


def test_a_line_without_fields_meets_no_condition():
    assert not parse_log("status>=500").matches_line("web", "api-1", "nothing named")
    assert parse_log("!status>=500").matches_line("web", "api-1", "nothing named")


def test_other_lists_know_no_fields():
    assert parse("a=b").matches("x a=b y")


def test_a_word_may_mean_where_a_line_is_from():
    assert parse_log("api-1 served").matches_line("web", "api-1", JSON)
    assert not parse_log("!web").matches_line("web", "api-1", JSON)
    assert parse_log("^served").matches_line("web", "api-1", "served")


words = st.lists(
    st.sampled_from(
        [
            "api",
            "GET",
            "!get",
            "5..",
            "!5..",
            "(a)|b",
            r"(.)\1",
            "status>=500",
            "!status>=500",
            '"two words"',
            "é",
            "^x",
        ]
    ),
    max_size=4,
).map(" ".join)
messages = st.one_of(
    st.sampled_from(["GET /a 500", "get b", "api two words", "x", "", JSON, "é aa", "status=503 get"]),
    st.text("abGET 5", max_size=9),
)


@given(words, messages, st.sampled_from(["api-1", "web-1"]))
def test_what_passes_here_also_passes_at_the_host(text, message, instance):
    query = parse_log(text)
    side = host_side(query, "host-1", frozenset([instance]))
    there = LogsQuery(grep=side.grep, ignore_case=side.ignore_case, invert=side.invert, fields=side.fields)
    at_the_host = Matcher(there).finds(message.encode())
    passes = query.matches_line("host-1", instance, message)
    assert at_the_host or not passes
    if side.exact:
        assert at_the_host is passes


@pytest.mark.parametrize("pasted", ["a(b|c" * 2000, "a{" + "9" * 5000 + "}", "field~" + "(" * 5000 + ")" * 5000])
def test_a_page_pasted_into_the_filter_is_searched_as_it_stands(pasted):
    for parsed in (parse(pasted), parse_log(pasted)):
        assert parsed.matches(f"before {pasted} behind")
        assert not parsed.matches("anything else")
