from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.widgets.window import fill_back, show, thumb

heights = st.lists(st.integers(1, 4), min_size=1, max_size=40)


@given(heights, st.integers(0, 60), st.integers(0, 39), st.integers(4, 20))
def test_the_cursor_is_wholly_visible(sizes, top, cursor, height):
    cursor = min(cursor, len(sizes) - 1)
    first = show(lambda index: sizes[index], len(sizes), top, cursor, height)
    assert 0 <= first <= cursor
    assert sum(sizes[first : cursor + 1]) <= height


@given(heights, st.integers(4, 20))
def test_filling_from_the_end_leaves_no_room_for_another(sizes, height):
    first = fill_back(lambda index: sizes[index], len(sizes), height)
    assert sum(sizes[first:]) <= height
    assert first == 0 or sum(sizes[first - 1 :]) > height


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 50), st.integers(0, 50))
def test_the_thumb_is_on_the_bar(count, top, visible, height):
    assert all(0 <= y < height for y in thumb(count, min(top, count), visible, height))
