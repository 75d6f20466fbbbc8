import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.paint import width_of
from bhtui.console.widgets.braille import CHAR, area, lines


def test_dots_fill_from_the_bottom():
    assert CHAR[0, 0] == " "
    assert CHAR[4, 4] == "⣿"
    assert CHAR[1, 0] == "⡀"
    assert CHAR[0, 1] == "⢀"
    assert CHAR[2, 2] == "⣤"


def test_a_ramp():
    rows = area([0, 1, 2, 3, 4, 5, 6, 8], 2, 8.0)
    assert ["".join(text for text, _ in row) for row in rows] == ["  ⢀⣼", "⣀⣴⣿⣿"]


def test_the_limit_is_a_line_where_nothing_is_drawn():
    rows = area([1, 1, 1, 8], 4, 8.0, limit=8.0)
    assert rows[0][0] == ("┄", "limit")


def test_the_cursor_stands_out():
    rows = area([None] * 6, 2, 1.0, cursor=1)
    assert all(("│", "accent") in row for row in rows)


@pytest.mark.parametrize(
    ("full", "shades"), [(8.0, ["g4", "g1"]), (80.0, ["g1", "g1"]), (2.0, ["g6", "g1"]), (None, ["g2", "g1"])]
)
def test_colours_say_how_near_to_all_that_there_can_be(full, shades):
    rows = area([8.0, 8.0], 2, 8.0, full=full)
    assert [style for row in rows for _, style in row] == shades


values = st.lists(st.none() | st.floats(0, 1e9), max_size=40).map(lambda found: found[: len(found) // 2 * 2])


@given(values, st.integers(1, 9), st.floats(0.1, 1e9), st.none() | st.floats(0.1, 1e9))
def test_every_row_is_as_wide_as_its_values(found, rows, top, limit):
    drawn = area(found, rows, top, limit, cursor=2)
    assert len(drawn) == rows
    assert all(width_of(row) == len(found) // 2 for row in drawn)


def test_peaks_are_single_dots_above_the_area():
    plain = "".join(text for text, _ in area([1.0, 1.0], 2, 4.0)[0])
    rows = area([1.0, 1.0], 2, 4.0, peaks=[4.0, 1.0])
    assert plain == " "
    assert [(text, style) for text, style in rows[0]] == [("\u2801", "dim")]
    assert rows[1] == area([1.0, 1.0], 2, 4.0)[1]


def text(row):
    return "".join(piece for piece, _ in row)


def test_several_lines_are_each_in_their_style_and_the_later_is_on_top():
    drawn = lines([[1.0] * 8, [4.0] * 8], ["s1", "s2"], 1, 4.0)
    assert drawn == [(("⣉⣉⣉⣉", "s2"),)]
    drawn = lines([[1.0] * 8, [8.0] * 8], ["s1", "s2"], 2, 8.0)
    assert drawn == [(("⠉⠉⠉⠉", "s2"),), (("⣀⣀⣀⣀", "s1"),)]


def test_a_jump_of_a_line_is_joined_and_a_gap_is_not():
    (row,) = lines([[1.0, 4.0, None, 1.0]], ["s1"], 1, 4.0)
    assert text(row) == "⣸⢀"


def test_limit_and_cursor_of_lines():
    drawn = lines([[1.0] * 4], ["s1"], 2, 8.0, limit=7.0, cursor=1)
    assert drawn[0] == (("┄", "limit"), ("│", "accent"))
    assert lines([], [], 2, 1.0) == [(), ()]
