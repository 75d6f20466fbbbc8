"""Graphs of a host or an instance over time, with their limits as lines and a time cursor that the log shares."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import groupby

from textual import events
from textual.message import Message
from typing_extensions import override

from ..actions import bindings
from ..columns.cells import clock
from ..columns.metrics import METRICS, Metric
from ..models.series import WINDOW_NAMES, WINDOWS, SeriesModel, Track, nice_top, right_edge, step_of
from ..paint import Line, Spans, fit, justify, paragraph, plain
from ..widgets.braille import area
from ..widgets.canvas import Canvas
from ..widgets.title import ruled, title

_DAY = 86400
_LABEL = re.compile(r"\S+(?: \S+)?")
GUTTER = 6
"""Columns of the scale at the left."""


def moment(time: float, window: int) -> str:
    """The time of day, with the date where a window has several days."""
    day = datetime.fromtimestamp(time).astimezone().strftime("%d %b ") if window >= _DAY else ""
    return day + clock(int(time * 1e9))


def half(window: int) -> str:
    """Half of a window in words: `2.5 min`."""
    for seconds, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if window / 2 >= seconds:
            return f"{window / 2 / seconds:g} {unit}"
    return f"{window / 2:g} s"


class GraphPane(Canvas):
    """Graphs of one subject, as many as fit."""

    can_focus = True
    contexts = ("graphs",)
    BINDINGS = bindings("graphs")

    class Moved(Message):
        """The time cursor was moved here; None: dropped."""

        def __init__(self, at: float | None) -> None:
            super().__init__()
            self.at = at

    class Wanted(Message):
        """Another window or subject is wanted."""

    def __init__(self, number: str, series: SeriesModel) -> None:
        super().__init__()
        self.number, self.series = number, series
        self.host = ""
        self.instance = ""
        """The instance that is shown; empty: the host itself."""
        self.whole_host = False
        self.window = 300
        self.cursor: float | None = None
        self.log_span: tuple[float, float] | None = None
        """The time that the log beside it shows."""
        self.first = 0
        """Graphs that are scrolled away above."""
        self._end = 0.0
        self._graphs: list[Line] = []
        self._graphs_for: tuple[object, ...] = ()
        self.problem = ""

    @property
    def subject(self) -> str:
        """Whose series are wanted."""
        return "host" if self.whole_host or not self.instance else self.instance

    def show(self, host: str, instance: str) -> None:
        """Shows another subject."""
        if (host, instance) != (self.host, self.instance):
            self.host, self.instance = host, instance
            self.post_message(self.Wanted())

    def show_time(self, time: float | None) -> None:
        """Puts the time cursor somewhere, without telling it back."""
        if time != self.cursor:
            self.cursor = time
            self.repaint()

    def show_log(self, first: float, last: float) -> None:
        """Marks the time that the log shows."""
        self.log_span = (first, last)
        self.repaint_soon()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        tracks = [(one, track) for one in METRICS if (track := self.series.get(self.host, self.subject, one.name))]
        facts: Spans = ((self.host if self.subject == "host" else self.instance, "strong"),)
        if source := self.series.sources.get(self.host):
            facts = (*facts, (f"  from {plain(source)}", "notice"))
        when = (moment(self.cursor, self.window), "accent") if self.cursor else (WINDOW_NAMES[self.window], "dim")
        head = Line(ruled(title(self.number, "GRAPHS", self.has_focus, facts), (when, (" ", "")), width))
        if not tracks or width < 20:
            text = self.problem or ("no samples yet" if self.host else "nothing is selected")
            return [head, Line(), *paragraph(plain(text), "dim", width)]
        shown = [track for _, track in tracks]
        self._end = right_edge(shown, self.console_app.now(), self.window, (width - GUTTER - 2) * 2)
        drawn_for = (
            width,
            height,
            self.host,
            self.subject,
            self.window,
            self.cursor,
            self._end,
            self.series.version,
            self.first,
        )
        if drawn_for != self._graphs_for:
            self._graphs_for, self._graphs = drawn_for, self._draw_graphs(tracks, width, height - 2)
        return [head, *self._graphs, Line(self._axis(width))]

    def _draw_graphs(self, tracks: list[tuple[Metric, Track]], width: int, room: int) -> list[Line]:
        fitting = max(1, min(len(tracks), room // 3))
        lines: list[Line] = []
        self.first = max(0, min(self.first, len(tracks) - fitting))
        for place, (metric, track) in enumerate(tracks[self.first : self.first + fitting]):
            rows = room // fitting + (1 if place < room % fitting else 0)
            lines += self._graph(metric, track, width, rows, self._end)
        return lines

    def _graph(self, metric: Metric, track: Track, width: int, height: int, end: float) -> list[Line]:
        columns = width - GUTTER - 2
        values = track.columns(end - self.window, end, columns * 2)
        peaks = track.peaks(end - self.window, end, columns * 2)
        seen = [value for value in peaks if value is not None]
        peak = max(seen, default=0.0)
        # A limit far above is told in words: drawn, it would flatten everything else.
        drawn_limit = track.limit if track.limit and peak * 6 >= track.limit else None
        top = nice_top(max(peak, metric.least, drawn_limit or 0.0), metric.binary)
        now_value = (
            track.at(self.cursor, step_of(self.window) * 2)
            if self.cursor
            else (track.values[-1] if track.values else None)
        )
        left: Spans = (
            (f" {metric.label}", "dim"),
            ("  ", ""),
            (metric.show(now_value) if now_value is not None else "-", "strong"),
        )
        right: Spans = (
            (f"max {metric.show(peak)}" if width >= 46 else "", "dim"),
            (f"  limit {metric.show(track.limit)}" if track.limit else "", "limit"),
            (" ", ""),
        )
        cursor = int((self.cursor - end + self.window) / self.window * columns) if self.cursor else None
        lines = [Line(justify(left, right, width))]
        drawn = area(values, height - 1, top, drawn_limit, cursor, peaks, metric.full(track.limit))
        for row, spans in enumerate(drawn):
            scale = metric.show(top).replace(" ", "") if row == 0 else "0" if row == height - 2 and height > 2 else ""
            lines.append(Line((*fit(((scale, "axis"),), GUTTER, "right"), ("▕", "rule"), *spans)))
        return lines

    def _axis(self, width: int) -> Spans:
        columns = width - GUTTER - 2
        middle = f"-{half(self.window)}"
        marks = f"-{WINDOW_NAMES[self.window]}".ljust(columns // 2 - len(middle) // 2) + middle
        text = marks.ljust(columns - 3) + "now"
        if self.log_span is None:
            return fit(((" " * (GUTTER + 1), ""), (text, "axis")), width)
        start = self._end - self.window
        low, high = (int((at - start) / self.window * columns) for at in self.log_span)
        low, high = max(0, low), min(columns - 1, high)
        for label in _LABEL.finditer(text):  # one that would be cut is left out
            if label.start() <= high and low < label.end():
                text = text[: label.start()] + " " * len(label[0]) + text[label.end() :]
        cells = [("━", "accent") if low <= place <= high else (char, "axis") for place, char in enumerate(text)]
        runs = ((style, "".join(char for char, _ in run)) for style, run in groupby(cells, key=lambda cell: cell[1]))
        return fit(((" " * (GUTTER + 1), ""), *((piece, style) for style, piece in runs)), width)

    def _change_window(self, by: int) -> None:
        index = max(0, min(len(WINDOWS) - 1, WINDOWS.index(self.window) + by))
        if WINDOWS[index] != self.window:
            self.window = WINDOWS[index]
            self.post_message(self.Wanted())
            self.repaint()

    def action_shorter(self) -> None:
        self._change_window(-1)

    def action_longer(self) -> None:
        self._change_window(1)

    def action_graphs_up(self) -> None:
        self._scroll(-1)

    def action_graphs_down(self) -> None:
        self._scroll(1)

    def _scroll(self, by: int) -> None:
        self.first = max(0, self.first + by)
        self.repaint()

    def action_subject(self) -> None:
        self.whole_host = not self.whole_host
        self.post_message(self.Wanted())
        self.repaint()

    def _move(self, time: float | None) -> None:
        self.cursor = time
        self.post_message(self.Moved(time))
        self.repaint()

    def action_earlier(self) -> None:
        step = self.window / max(1, self.size.width - GUTTER - 2)
        self._move(max(self._end - self.window, (self.cursor or self._end) - step))

    def action_later(self) -> None:
        step = self.window / max(1, self.size.width - GUTTER - 2)
        if self.cursor is not None:
            later = self.cursor + step
            self._move(None if later >= self._end else later)

    def action_now(self) -> None:
        self._move(None)

    def on_click(self, event: events.Click) -> None:
        columns = self.size.width - GUTTER - 2
        if event.y > 0 and 0 <= event.x - GUTTER - 1 < columns:
            self._move(self._end - self.window + (event.x - GUTTER - 1 + 0.5) / columns * self.window)
