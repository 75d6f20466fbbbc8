from bhtui.console.models.histogram import NOTHING, Column
from bhtui.console.widgets.strip import draw_strip, rate, short, span


def text(line) -> str:
    return "".join(text for text, _ in line.spans)


def test_two_rows_tell_how_many_and_what_is_wrong():
    columns = [Column(80, 0, 0), Column(10, 2, 0), Column(20, 0, 20), NOTHING]
    above, below = draw_strip(columns, 40, 2, 3)
    assert text(above) == " █▁▂│  peak 8/s, 40 s"
    assert text(below) == "  ▁█│  20 errors, 2 warn"
    assert ("█", "bad") in below.spans
    assert ("▁", "warn") in below.spans


def test_one_row_has_the_colour_of_the_worst():
    columns = [Column(8, 1, 4), Column(8, 1, 1), Column(8, 1, 0), Column(8, 0, 0)]
    [row] = draw_strip(columns, 4, 1, None)
    assert [style for _, style in row.spans[1:5]] == ["bad", "s4", "warn", "g2"]
    [empty] = draw_strip([NOTHING] * 3, 60, 1, None)
    assert "0/min" in text(empty)


def test_figures_are_short():
    assert [short(n) for n in (9, 9999, 12_345, 3_400_000)] == ["9", "9999", "12k", "3M"]
    assert [rate(n) for n in (0.05, 3.4, 20_000)] == ["3/min", "3/s", "20k/s"]
    assert [span(n) for n in (59, 900, 5400, 604800)] == ["59 s", "15 min", "1.5 h", "7 d"]
