"""Many graphs at once: small multiples with one time, one cursor, and the same scale for the same metric."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from textual import events
from textual.message import Message
from typing_extensions import override

from ..actions import bindings
from ..columns.metrics import BY_NAME, Metric
from ..models.panels import LEAST_HEIGHT, TOGETHER_HEIGHT, Grid, Panel, Subject, grid
from ..models.series import WINDOW_NAMES, WINDOWS, SeriesModel, Summary, Track, nice_top, right_edge, step_of
from ..paint import BLANK, Line, Spans, fit, justify, paragraph, plain, width_of
from ..widgets.braille import area, lines
from ..widgets.canvas import Canvas
from .graphs import GUTTER, half, moment

STYLES = ("s1", "s2", "s3", "s4", "s5", "s6")
"""Of series that share a graph."""
MARK = re.compile(r"\S+(?: \S+)?")
"""A label of the axis."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class GridPane(Canvas):
    """Graphs in a grid; one of them is selected, and may be seen alone."""

    can_focus = True
    contexts = ("grid",)
    BINDINGS = bindings("grid")
    DEFAULT_CSS = "GridPane { height: 1fr; }"

    class Wanted(Message):
        """Samples of another stretch of time are wanted."""

    class Moved(Message):
        """The time cursor, the selection or the layout has changed."""

    def __init__(self, series: SeriesModel) -> None:
        super().__init__()
        self.series = series
        self.panels: list[Panel] = []
        self.several_hosts = False
        self.window = 300
        self.back = 0.0
        """Seconds that the right edge lies before the newest sample; 0: it follows."""
        self.cursor: float | None = None
        self.selected = ""
        """The key of the selected panel."""
        self.alone = False
        self.problem = ""
        self.end = 0.0
        self._first = 0
        self._grid = Grid(1, 1, 0, ())
        self._many = False
        """Whether graphs must say whose they are."""

    # What there is to see

    def show(self, panels: Sequence[Panel], several_hosts: bool) -> None:
        """Shows these."""
        self.panels, self.several_hosts = list(panels), several_hosts
        self.repaint()

    def seen(self) -> list[Panel]:
        """Graphs of which something is known."""
        return [panel for panel in self.panels if any(self.track(panel.metric, one) for one in panel.subjects)]

    def track(self, metric: str, subject: Subject) -> Track | None:
        """The series of one line."""
        return self.series.get(subject.host, subject.name, metric)

    def chosen(self, seen: Sequence[Panel]) -> int:
        """The place of the selected panel."""
        return next((at for at, panel in enumerate(seen) if panel.key == self.selected), 0)

    @property
    def subject(self) -> Subject | None:
        """Whose graph is selected."""
        seen = self.seen()
        return seen[self.chosen(seen)].subjects[0] if seen else None

    @property
    def start(self) -> float:
        """The time at the left edge."""
        return self.end - self.window

    # Drawing

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        seen = self.seen()
        if not seen or width < 30:
            return [Line(), *paragraph(plain(self.problem or "no samples yet"), "dim", width)]
        at = self.chosen(seen)
        least = TOGETHER_HEIGHT if any(len(panel.subjects) > 1 for panel in seen) else LEAST_HEIGHT
        self._grid = grid(1 if self.alone else len(seen), width, height - 1, least)
        self._many = len({one for panel in seen for one in panel.subjects}) > 1
        shown = [seen[at]] if self.alone else self._visible(seen, at)
        tracks = [track for panel in seen for one in panel.subjects if (track := self.track(panel.metric, one))]
        inner = self._grid.width - GUTTER - 3
        newest = right_edge(tracks, self.console_app.now(), self.window, inner * 2)
        self.end = newest - self.back
        tops = {metric: self._top(metric, list(of)) for metric, of in groupby(seen, key=lambda panel: panel.metric)}
        drawn: list[Line] = []
        for row, size in enumerate(self._grid.heights):
            cells = shown[row * self._grid.columns : (row + 1) * self._grid.columns]
            parts = [
                self._cell(panel, tops[panel.metric], size, panel is seen[at] and len(seen) > 1) for panel in cells
            ]
            drawn += [Line(_beside([part[y] for part in parts], self._grid.width)) for y in range(size)]
        drawn = drawn[: height - 1] + [BLANK] * (height - 1 - len(drawn))
        return [*drawn, Line(self._axis(min(len(shown), self._grid.columns), len(seen), width))]

    def _visible(self, seen: Sequence[Panel], at: int) -> list[Panel]:
        """Whole rows, so that the selected one is among them."""
        columns, rows = self._grid.columns, self._grid.rows
        row, last = at // columns, max(0, -(-len(seen) // columns) - rows)
        self._first = max(0, min(last, row, max(self._first, row - rows + 1)))
        return list(seen[self._first * columns : (self._first + rows) * columns])

    def _top(self, metric: str, panels: Sequence[Panel]) -> tuple[float, float | None]:
        """The top of the scale that all graphs of a metric share, and the limit if it is drawn."""
        about = BY_NAME.get(metric) or Metric(metric, metric)
        tracks = [track for panel in panels for one in panel.subjects if (track := self.track(metric, one))]
        found = [each for track in tracks if (each := track.summary(self.start, self.end))]
        peak = max((each.peak for each in found), default=0.0)
        limits = [track.limit for track in tracks if track.limit]
        # A limit far above is told in words: drawn, it would flatten everything else.
        drawn = max((limit for limit in limits if peak * 6 >= limit), default=None)
        return nice_top(max(peak, about.least, drawn or 0.0), about.binary), drawn

    def _cell(self, panel: Panel, scale: tuple[float, float | None], height: int, selected: bool) -> list[Line]:
        metric = BY_NAME.get(panel.metric) or Metric(panel.metric, panel.metric)
        width, columns, top = self._grid.width, self._grid.width - GUTTER - 3, scale[0]
        known = [(one, track) for one in panel.subjects if (track := self.track(panel.metric, one))]
        cursor = int((self.cursor - self.start) / self.window * columns) if self.cursor is not None else None
        bar = ("▌", "accent") if selected else (" ", "")
        if len(panel.subjects) == 1:
            subject, track = known[0]
            values = track.columns(self.start, self.end, columns * 2)
            peaks = track.peaks(self.start, self.end, columns * 2)
            limit = track.limit if scale[1] is not None and track.limit and track.limit <= top else None
            body = area(values, height - 1, top, limit, cursor, peaks, metric.full(track.limit))
            head = [Line((bar, *self._head(metric, subject, track, width - 1, selected)))]
        else:
            legend, unnamed = self._legend(metric, known, width - 1, max(1, (height - 1) // 3))
            values_of = [track.columns(self.start, self.end, columns * 2) for _, track in known]
            styles = [STYLES[number % len(STYLES)] for number in range(len(known))]
            body = lines(values_of, styles, height - 1 - len(legend), top, scale[1], cursor)
            head = [
                Line(
                    (
                        bar,
                        *justify(((metric.label, "strong"),), ((f"{len(known)} series{unnamed} ", "dim"),), width - 1),
                    )
                )
            ]
            head += [Line((bar, *spans)) for spans in legend]
        for row, spans in enumerate(body):
            told = metric.show(top).replace(" ", "") if row == 0 else "0" if row == len(body) - 1 and row else ""
            head.append(Line((bar, *fit(((told, "axis"),), GUTTER, "right"), ("▕", "rule"), *spans)))
        return [*head, *[BLANK] * (height - len(head))][:height]

    def _at(self, track: Track) -> tuple[float | None, Summary | None]:
        """The value at the cursor or at the right edge, and what the whole window comes to."""
        summary = track.summary(self.start, self.end)
        if self.cursor is not None:
            return track.at(self.cursor, step_of(self.window) * 2), summary
        return (summary.last if summary else None), summary

    def _head(self, metric: Metric, subject: Subject, track: Track, width: int, selected: bool) -> Spans:
        now, summary = self._at(track)
        value = metric.show(now) if now is not None else "-"
        label = plain(subject.label(self.several_hosts)) if self._many else ""
        left: Spans = (
            (metric.label, "strong" if selected else "dim"), ("  " if label else "", ""),
            (label, "link" if selected else ""), ("  ", ""), (value, "strong"), ("  ", ""),
        )  # fmt: skip
        limit = f"limit {metric.show(track.limit)} " if track.limit else ""
        told = [f"avg {metric.show(summary.mean)}", f"max {metric.show(summary.peak)}"] if summary is not None else []
        room = width - width_of(left) - len(limit)
        while told and len("  ".join(told)) + 2 > room:
            del told[0]
        return justify(left, (("  ".join([*told, ""]), "dim"), (limit, "limit")), width)

    def _legend(
        self, metric: Metric, known: Sequence[tuple[Subject, Track]], width: int, most: int
    ) -> tuple[list[Spans], str]:
        """Who is who, in at most so many lines: a sign, a name, the value and the greatest; and how many found no
        place there."""
        pairs = [(plain(subject.label(self.several_hosts)), track) for subject, track in known]
        longest = max(len(name) for name, _ in pairs)
        beside = max(1, width // min(width, longest + 32))
        has_peak = len(pairs) <= beside * most
        if not has_peak:
            beside = max(1, width // min(width, longest + 17))
        each = width // beside
        cells = []
        for number, (name, track) in enumerate(pairs[: beside * most]):
            now, summary = self._at(track)
            told = f"{metric.show(now) if now is not None else '-':>8}"
            if summary is not None and has_peak and each >= longest + 30:
                told += f"  max {metric.show(summary.peak):<8}"
            sign = (f"{LETTERS[number % len(LETTERS)]} ━ ", STYLES[number % len(STYLES)])
            cells.append(justify((sign, (name, "")), ((told, "dim"), ("  ", "")), each))
        rows = [tuple(span for cell in cells[at : at + beside] for span in cell) for at in range(0, len(cells), beside)]
        unnamed = len(pairs) - len(cells)
        return rows, f", {unnamed} not named here" if unnamed else ""

    def _axis(self, columns: int, count: int, width: int) -> Spans:
        inner = self._grid.width - GUTTER - 3
        last = "now" if not self.back else moment(self.end, self.window)
        middle = f"-{half(self.window)}"
        first = f"-{WINDOW_NAMES[self.window]}"
        if self.back:
            middle, first = "", moment(self.start, self.window)
        text = first.ljust(inner // 2 - len(middle) // 2) + middle
        text = text[: inner - len(last)].ljust(inner - len(last)) + last
        spans: Spans = ((text, "axis"),)
        if self.cursor is not None and self.start <= self.cursor <= self.end:
            label = moment(self.cursor, self.window)
            place = int((self.cursor - self.start) / self.window * inner) - len(label) // 2
            place = max(0, min(inner - len(label), place))
            spans = _over(text, place, label)
        one: Spans = ((" " * (GUTTER + 2), ""), *spans)
        left = _beside([Line(one)] * max(1, columns), self._grid.width)
        hidden = count - (1 if self.alone else min(count, self._grid.rows * self._grid.columns))
        return justify(left, ((f" +{hidden} more ", "notice"),) if hidden and not self.alone else (), width)

    # Time

    def _change_window(self, by: int) -> None:
        index = max(0, min(len(WINDOWS) - 1, WINDOWS.index(self.window) + by))
        if WINDOWS[index] != self.window:
            # What the cursor is on stays in sight.
            middle = self.cursor
            newest = self.end + self.back
            self.window = WINDOWS[index]
            if middle is not None and (middle < newest - self.window or self.back):
                self.back = max(0.0, newest - middle - self.window / 2)
            self.post_message(self.Wanted())
            self.repaint()

    def action_shorter(self) -> None:
        self._change_window(-1)

    def action_longer(self) -> None:
        self._change_window(1)

    def pan(self, by: float) -> None:
        """Moves what is seen by a part of the window; never beyond the newest."""
        back = max(0.0, self.back - by * self.window)
        if back != self.back:
            self.back = back
            self.post_message(self.Wanted())
            self.repaint()

    def action_pan_back(self) -> None:
        self.pan(-0.5)

    def action_pan_on(self) -> None:
        self.pan(0.5)

    def move(self, time: float | None) -> None:
        """Puts the time cursor somewhere; the window follows it."""
        self.cursor = time
        if time is None:
            back = 0.0
        elif self.end and not self.start <= time <= self.end:
            back = max(0.0, self.end + self.back - time - self.window / 2)
        else:
            back = self.back
        if back != self.back:
            self.back = back
            self.post_message(self.Wanted())
        self.post_message(self.Moved())
        self.repaint()

    def _column(self) -> float:
        return self.window / max(1, self._grid.width - GUTTER - 3)

    def action_earlier(self) -> None:
        self.move((self.cursor if self.cursor is not None else self.end) - self._column())

    def action_later(self) -> None:
        if self.cursor is not None:
            later = self.cursor + self._column()
            self.move(None if later >= self.end + self.back else later)

    def action_now(self) -> None:
        self.move(None)

    def action_to_peak(self) -> None:
        """To the highest moment of the selected graph."""
        seen = self.seen()
        if not seen:
            return
        panel = seen[self.chosen(seen)]
        best: tuple[float, float] | None = None
        for one in panel.subjects:
            track = self.track(panel.metric, one)
            for time, high in zip(track.times, track.highs or track.values, strict=True) if track else ():
                if self.start <= time <= self.end and (best is None or high > best[1]):
                    best = time, high
        if best is not None:
            self.move(best[0])

    # Selecting

    def select(self, by: int) -> None:
        """Another graph, so many places on."""
        seen = self.seen()
        if seen:
            self.selected = seen[max(0, min(len(seen) - 1, self.chosen(seen) + by))].key
            self.post_message(self.Moved())
            self.repaint()

    def action_panel_up(self) -> None:
        self.select(-self._grid.columns)

    def action_panel_down(self) -> None:
        self.select(self._grid.columns)

    def action_next_panel(self) -> None:
        self.select(1)

    def action_previous_panel(self) -> None:
        self.select(-1)

    def action_alone(self) -> None:
        self.alone = not self.alone
        self.post_message(self.Moved())
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        seen = self.seen()
        column, x = divmod(event.x, self._grid.width + 1)
        y, row = event.y, 0
        while row < len(self._grid.heights) and y >= self._grid.heights[row]:
            y -= self._grid.heights[row]
            row += 1
        place = 0 if self.alone else (self._first + row) * self._grid.columns + column
        if row >= len(self._grid.heights) or column >= self._grid.columns or place >= len(seen):
            return
        if not self.alone:
            self.selected = seen[place].key
        inner = self._grid.width - GUTTER - 3
        if y > 0 and 0 <= x - GUTTER - 2 < inner:
            self.move(self.start + (x - GUTTER - 2 + 0.5) / inner * self.window)
        else:
            self.post_message(self.Moved())
            self.repaint()


def _over(text: str, place: int, label: str) -> Spans:
    """A label over a text of marks; a mark that it would touch is left out."""
    for mark in MARK.finditer(text):
        if mark.start() <= place + len(label) and place <= mark.end():
            text = text[: mark.start()] + " " * len(mark[0]) + text[mark.end() :]
    return ((text[:place], "axis"), (label, "accent"), (text[place + len(label) :], "axis"))


def _beside(cells: Sequence[Line], width: int) -> Spans:
    """Cells of `width` columns with one between them."""
    spans: list[tuple[str, str]] = []
    for number, cell in enumerate(cells):
        spans += [*([(" ", "")] if number else []), *fit(cell.spans, width)]
    return tuple(spans)
