from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.paint import crop, fit, justify, meter, plain, spark, width_of, wrap

texts = st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=40)
spans = st.lists(st.tuples(texts, st.just("")), max_size=4).map(tuple)


@given(spans, st.integers(0, 60), st.sampled_from(["left", "right"]))
def test_fit_takes_exactly_the_columns(given_spans, width, align):
    assert width_of(fit(given_spans, width, align)) == width


@given(spans, spans, st.integers(0, 80))
def test_justify_takes_exactly_the_columns(left, right, width):
    assert width_of(justify(left, right, width)) == width


@given(texts, st.integers(0, 30))
def test_crop_never_takes_more(text, width):
    assert width_of(((crop(text, width), ""),)) <= width


@given(texts, st.integers(2, 20))
def test_wrap_loses_nothing(text, width):
    assert "".join(wrap(text, width)) == text
    assert all(width_of(((piece, ""),)) <= width for piece in wrap(text, width))


@given(st.text(max_size=80))
def test_plain_text_holds_nothing_that_a_terminal_obeys(text):
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in plain(text))


def test_escape_sequences_are_taken_out():
    assert plain("\x1b[31mred\x1b[0m \x1b]0;title\x07on\x1b]52;c;aGk=\x1b\\") == "red on"
    assert plain("a\tb") == "a   b"
    assert plain("bell\x07") == "bell·"


def test_sparks_and_meters_fill_their_width():
    assert spark((0.0, 50.0, 100.0), 5) == "  ▁▅█"
    assert spark((1.0,) * 9, 3) == "▁▁▁"
    full, empty = meter(0.5, 10)
    assert (len(full), len(empty)) == (5, 5)
    assert meter(7.0, 4) == ("■■■■", "")
