from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.match import parse


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
