"""The log pane: follows without moving the text under a reader, filters, finds, unfolds, marks, exports.

What is on the screen is anchored on a line, not on a position: lines that come, come late, or are dropped at the far
end change nothing of what a person reads. While following, the newest line is at the bottom.
"""

from __future__ import annotations

from dataclasses import replace

from textual import events
from textual.message import Message
from typing_extensions import override

from bhtui.core.units import format_age

from ..actions import BY_ID, bindings, shown_key
from ..columns.cells import clock
from ..models.entries import Entry
from ..models.logs import ERROR, LEVELS, WARNING
from ..models.page import Page
from ..models.reading import SINCE
from ..paint import Line, Spans, fit, paragraph, plain
from ..widgets import window
from ..widgets.logline import LineLayout, draw_entry
from ..widgets.strip import LEGEND, draw_strip
from ..widgets.title import ruled, title
from .logtaking import Taking

_STRIP_STEPS = 20
"""Steps in which keys go through the time of the histogram."""
_KIND = {WARNING: "warning", ERROR: "error"}


class LogPane(Taking):
    """Lines of one view, drawn, and the keys on them."""

    can_focus = True
    contexts = ("logs",)
    BINDINGS = bindings("logs")

    class Shown(Message):
        """The lines on the screen are of this stretch of time, in Unix seconds."""

        def __init__(self, first: float, last: float) -> None:
            super().__init__()
            self.first, self.last = first, last

    class Annotate(Message):
        """A note is to be written to a line."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(self, number: str = "", *, whole: bool = False) -> None:
        super().__init__()
        self.number, self.whole = number, whole
        self.how = LineLayout(millis=whole)
        self._top: Entry | None = None
        self._lead: list[Line] = []
        """The end of the line before `_top`, when that does not fit whole."""
        self._told = (0, 0)
        self._page = Page()

    @override
    def forget(self) -> None:
        self._top, self._lead, self._page = None, [], Page()

    @override
    def reveal(self) -> None:
        shown, here = self.model.shown, self._cursor
        if here is None or not shown:
            return
        place, room = self.model.place(here), max(1, self.size.height - 1 - self._strip_rows)
        top = self.model.place(self._top) if self._top else -1
        if self._settling or not top <= place < top + room:
            self._top = shown[max(0, place - room // 2)]

    # Drawing

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        lines = [Line(ruled(*self._title(), width))]
        lines += self._strip(width)
        body = height - len(lines)
        shown = self.model.shown
        if not shown:
            return [*lines, Line(), *paragraph(plain(self._why_empty()), "dim", width)]
        self._measure()
        rows: list[Line] = []
        index = self._first_row(width - 2, body)
        self._top = shown[index]
        first = index
        self._page = self._page.turned(self._top, None if self.follow else self._cursor, self.model)
        while index < len(shown) and len(rows) < body:
            if not self._page.holds_back(shown[index]):
                rows += self._draw_row(shown[index], width)
            index += 1
        self._page = self._page.ending(shown[index - 1])
        # Of a line that is too high to be there as a whole its end is: the newest line stands at the bottom.
        left = body - len(rows)
        self._lead = self._draw_row(shown[first - 1], width)[-left:] if left > 0 and first else []
        rows = (self._lead + rows)[:body]
        for y in window.thumb(len(shown), first, index - first, len(rows)):
            rows[y] = Line((*fit(rows[y].spans, width - 1), ("▐", "dim")), rows[y].base)
        self._tell(shown[first].time_ns, shown[index - 1].time_ns)
        return lines + rows

    def _tell(self, first_ns: int, last_ns: int) -> None:
        """Tells the graph which time is on the screen."""
        told = (first_ns // 10**9, last_ns // 10**9)
        if told != self._told:
            self._told = told
            self.post_message(self.Shown(first_ns / 1e9, last_ns / 1e9))

    def _title(self) -> tuple[Spans, Spans]:
        model, query = self.model, self.chosen.query
        level = LEVELS[self.chosen.rank]
        facts: list[tuple[str, str]] = [(self.scope or "all", "strong"), ("  ", ""), self._whereabouts()]
        if query.text:
            facts += [("  /", "dim"), (query.text, "match")]
        if level:
            facts.append((f"  ≥ {level}", "warn"))
        if self.since_step:
            facts.append((f"  since {SINCE[self.since_step][1]}", "dim"))
        is_counted = self.whole or self.size.width > 60 or query.text or level
        counts = self.counts() if is_counted else ""
        lost = (f"{model.lost:,} lost", "bad" if model.lost else "dim")
        limited = sum(self.limited.values())
        return title(self.number, "LOGS", self.has_focus, tuple(facts)), (
            (f"{limited:,} over limit  " if limited else "", "bad"),
            (counts + "  " if counts else "", "dim"),
            lost,
            (" ", ""),
        )

    def counts(self) -> str:
        """Lines shown of those that were looked at: `12/2,000`."""
        return f"{len(self.model.shown):,}/{self.looked_at:,}"

    def _whereabouts(self) -> tuple[str, str]:
        """Whether the view follows, how late what comes is, or where in the past the reader is."""
        key = shown_key(self.console_app.key_of(BY_ID["follow"]))
        if not self.follow:
            if self.at_ns and not self.caught_up:
                return (f"past {clock(self.at_ns)}, {key} returns" if self.size.width > 60 else "past", "warn")
            if self.holds:
                new = f"+{self.new:,} new, " if self.new else ""
                return (f"{new}more waits" + (" at the host" if self.size.width > 90 else ""), "warn")
            return (f"+{self.new:,} new" if self.new else "reading", "warn")
        if self.behind:
            skip = f", {key} skips" if self.size.width > 60 else ""
            return (f"{format_age(self.behind)} behind{skip}", "warn")
        return ("follow ●", "ok")

    @property
    def _strip_rows(self) -> int:
        return 2 if self.size.height >= 20 else 1 if self.size.height >= 12 else 0

    def _strip(self, width: int) -> list[Line]:
        rows, bars = self._strip_rows, width - LEGEND - 2
        if not rows or bars < 8:
            return [Line()] * rows
        found = self.strip_columns(bars)
        start, end = self.strip
        here = None if self.follow or self._cursor is None else self._cursor.time_ns
        place = (here - start) * bars // max(1, end - start) if here is not None else None
        return draw_strip(found, (end - start) / 1e9, rows, place)

    def _why_empty(self) -> str:
        if self.problem:
            return self.problem
        if self.looked_at and (self.caught_up or not self.is_sifted):
            return f"none of {self.looked_at:,} lines passes the filter; t looks further back, esc clears it"
        return "no lines yet; they appear here as they are written" if self.caught_up else "reading ..."

    def _measure(self) -> None:
        several = len(self.model.hosts) > 1
        hosts = max((len(name) for name in self.model.hosts), default=0) if several else 0
        named = len(self.model.instances) > 1 or not self.scope
        instances = max((len(name) for name in self.model.instances), default=0) if named else 0
        self.how = replace(
            self.how, host_width=min(14, hosts), instance_width=min(14, instances), millis=self.size.width >= 100
        )

    def _first_row(self, width: int, body: int) -> int:
        shown = self.model.shown

        def height(index: int) -> int:
            entry = shown[index]
            if self._page.holds_back(entry):
                return 0
            if not self.how.wrap and entry.order not in self.unfolded and not self.marks.note(entry):
                return 1
            return len(self._drawn(entry, width))

        if self.follow or self._cursor is None:
            return window.fill_back(height, len(shown), body)
        top = self.model.place(self._top) if self._top else 0
        return window.show(height, len(shown), top, self.model.place(self._cursor), body)

    def _draw_row(self, entry: Entry, width: int) -> list[Line]:
        at_cursor = not self.follow and self._cursor is not None and entry.order == self._cursor.order
        base = ("cursor" if self.has_focus else "rest") if at_cursor else ""
        edge = ("●", "mark") if entry in self.marks else ("▌", "accent") if at_cursor else (" ", "")
        drawn = self._drawn(entry, width - 2)
        return [Line(fit((edge if not n else (" ", ""), *spans), width - 1), base) for n, spans in enumerate(drawn)]

    def _drawn(self, entry: Entry, width: int) -> tuple[Spans, ...]:
        unfolded = entry.order in self.unfolded
        return draw_entry(entry, self.how, self.model.filter.query, width, unfolded, self.marks.note(entry))

    # Moving

    def _step(self, by: int) -> None:
        here = self.cursor
        if here is None:
            return
        index = self.model.place(here) + by
        if index < 0:
            self.post_message(self.Older())
        self.go(index)

    def action_up(self) -> None:
        self._step(-1)

    def action_down(self) -> None:
        if not self.follow:
            self._step(1)

    def action_page_up(self) -> None:
        self._step(-max(1, self.size.height - 3))

    def action_page_down(self) -> None:
        if not self.follow:
            self._step(max(1, self.size.height - 3))

    def action_first(self) -> None:
        here = self.cursor
        if here is not None and not self.follow and not self.model.place(here):
            self.post_message(self.Older())
        self.go(0)

    def action_follow(self) -> None:
        if self.behind:
            self.console_app.say(f"skipped what was written in {format_age(self.behind)}; t reads further back", "warn")
            self.set_since(0)
            return
        self._to_end()
        self.post_message(self.Moved(None))

    def _find(self, step: int, rank: int) -> None:
        """Goes to the next line of a rank or worse; the hosts look where nothing is loaded."""
        here = self.cursor
        if here is None:
            self.post_message(self.Beyond(step, rank))
            return
        start = self.model.place(here) + (1 if self.follow and step < 0 else 0)
        found = self.model.find(start, step, lambda entry: entry.rank >= rank)
        if found is not None:
            self._go_far(found)
        elif step < 0 or not self.caught_up:
            self.post_message(self.Beyond(step, rank))
        else:
            before = self.console_app.key_of(BY_ID["previous-error" if rank == ERROR else "previous-warning"])
            self.console_app.say(f"no {_KIND[rank]} after this line; {shown_key(before)} looks before it", "dim")

    def _go_far(self, index: int) -> None:
        self.go(index)
        self.reveal()
        self.repaint()

    def action_next_error(self) -> None:
        self._find(1, ERROR)

    def action_previous_error(self) -> None:
        self._find(-1, ERROR)

    def action_next_warning(self) -> None:
        self._find(1, WARNING)

    def action_previous_warning(self) -> None:
        self._find(-1, WARNING)

    def action_next_mark(self) -> None:
        here = self.cursor
        if here is None:
            return
        marked = self.marks.__contains__
        found = self.model.find(self.model.place(here), 1, marked)
        found = self.model.find(-1, 1, marked) if found is None else found
        if found is None:
            self.console_app.say("no line that is shown is marked; m marks one, N writes a note to it", "dim")
        else:
            self._go_far(found)

    def action_strip_back(self) -> None:
        self._along(-1)

    def action_strip_on(self) -> None:
        self._along(1)

    def _along(self, steps: int) -> None:
        """Through the time of the histogram; past its end to the newest line."""
        start, end = self.strip_now()
        here = end if self.follow or self.cursor is None else self.cursor.time_ns
        if self._settling:
            here = self.at_ns
        self._to_time(here + steps * (end - start) // _STRIP_STEPS, end)

    def _to_time(self, at_ns: int, end: int) -> None:
        time = None if at_ns >= end and not (self.at_ns and not self.caught_up) else at_ns / 1e9
        self.seek(time)
        self.post_message(self.Moved(time))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._step(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        if not self.follow:
            self._step(3)

    def on_click(self, event: events.Click) -> None:
        y = event.y - 1 - self._strip_rows
        if y < 0 < event.y:
            self._click_strip(event.x)
        if y < 0 or self._top is None:
            return
        index = self.model.place(self._top)
        if y < len(self._lead):
            self.go(index - 1)
            return
        y -= len(self._lead)
        while index < len(self.model.shown):
            entry = self.model.shown[index]
            y -= 0 if self._page.holds_back(entry) else len(self._drawn(entry, self.size.width - 2))
            if y < 0:
                self.go(index)
                return
            index += 1

    def _click_strip(self, x: int) -> None:
        bars = self.size.width - LEGEND - 2
        if 0 < x <= bars:
            start, end = self.strip_now()
            self._to_time(start + (2 * x - 1) * (end - start) // (2 * bars), end)

    # How it is shown

    def action_wrap(self) -> None:
        self.how = replace(self.how, wrap=not self.how.wrap, shift=0)
        self.repaint()

    def action_left(self) -> None:
        self.how = replace(self.how, shift=max(0, self.how.shift - 16))
        self.repaint()

    def action_right(self) -> None:
        self.how = replace(self.how, shift=self.how.shift + 16)
        self.repaint()

    def action_fields(self) -> None:
        here = self.cursor
        if here is not None:
            self.unfolded ^= {here.order}
            self.go(self.model.place(here))

    def action_mark_line(self) -> None:
        here = self.cursor
        if here is not None:
            self.marks.toggle(here)
            self.go(self.model.place(here))

    def action_note_line(self) -> None:
        here = self.cursor
        if here is None:
            return
        self.go(self.model.place(here))
        self.post_message(self.Annotate(here))
