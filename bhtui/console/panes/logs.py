"""The log pane: follows without moving the text under a reader, filters, finds, unfolds, marks, exports.

What is on the screen is anchored on a line, not on a position: lines that come, come late, or are dropped at the far
end change nothing of what a person reads. While following, the newest line is at the bottom.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from textual import events
from textual.message import Message
from textual.worker import get_current_worker
from typing_extensions import override

from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import logs_pb2

from ..actions import BY_ID, bindings, shown_key
from ..models.host import HostView
from ..models.logs import ERROR, LEVELS, Entry, LogFilter, LogModel, crash_entry, refilter
from ..models.match import parse
from ..paint import Line, Spans, fit, paragraph, plain
from ..widgets import window
from ..widgets.canvas import Canvas
from ..widgets.logline import LineLayout, draw_entry, fields
from ..widgets.title import ruled, title

SINCE = ((0, "tail"), (60, "1 min"), (300, "5 min"), (900, "15 min"), (3600, "1 h"), (21600, "6 h"), (86400, "1 d"))
"""Seconds to read back, and their names; 0 reads the newest lines."""
LEVEL_STEPS = (0, 3, 4, 5)
COPY_LIMIT = 75_000
"""Bytes that terminals take by OSC 52."""
_BEHIND = 3.0
"""Seconds that new lines are late from which a reader is told so."""
_MANY = 100
"""Lines that come at once when there are more than can be read; a few that are late are only late."""
_AT_ONCE = 5_000
"""Lines that are filtered without a thread."""
_BARS = " ▁▂▃▄▅▆▇█"


class LogPane(Canvas):
    """Lines of one view."""

    can_focus = True
    contexts = ("logs",)
    BINDINGS = bindings("logs")

    class Moved(Message):
        """The reader is at a line of this time; None: at the end, following."""

        def __init__(self, at: float | None) -> None:
            super().__init__()
            self.at = at

    class Wanted(Message):
        """Other lines are wanted: from further back, or of other instances."""

    class Filtered(Message):
        """A worker has filtered the lines up to `order`."""

        def __init__(self, chosen: LogFilter, shown: list[Entry], order: int) -> None:
            super().__init__()
            self.chosen, self.shown, self.order = chosen, shown, order

    def __init__(self, number: str = "", *, whole: bool = False) -> None:
        super().__init__()
        self.number, self.whole = number, whole
        self.model = LogModel()
        self.scope = ""
        """The instance or service whose lines are read; empty: all."""
        self.one = ""
        """What `scope` becomes when one is asked for."""
        self.since_step = 0
        self.caught_up = False
        self.problem = ""
        self.follow = True
        self.new = 0
        self.marks: set[int] = set()
        self.unfolded: set[int] = set()
        self.noted: dict[str, int] = {}
        """By host the last event that was looked at for crashes."""
        self._late = (0.0, 0.0)
        """When lines came last, and how old the newest of them was then, in seconds."""
        self.how = LineLayout(millis=whole)
        self._cursor: Entry | None = None
        self._top: Entry | None = None
        self._lead: list[Line] = []
        """The end of the line before `_top`, when that does not fit whole."""

    def restart(self) -> None:
        """Empties the view, because other lines are coming."""
        self.model.clear()
        self.follow, self.new, self.caught_up, self.problem = True, 0, False, ""
        self.marks, self.unfolded, self.noted, self._late = set(), set(), {}, (0.0, 0.0)
        self._cursor = self._top = None
        self.repaint()

    def take(self, host: str, batch: logs_pb2.LogBatch) -> None:
        """Takes a batch in."""
        shown = self.model.add(host, batch)
        if self.caught_up and len(batch.lines) >= _MANY:
            now = self.console_app.now()
            self._late = (now, self.console_app.host(host).instance_age(batch.lines[-1].time_ns, now))
        self.caught_up = self.caught_up or batch.caught_up
        if not self.follow:
            self.new += shown
        self.repaint_soon()

    def note(self, host: HostView) -> None:
        """Puts between the lines where instances crashed: what stands before that is what one looks for."""
        if not self.caught_up:
            return
        seen = self.noted.get(host.name, 0)
        new = [event for event in host.events if event.seq > seen]
        if not new:
            return
        self.noted[host.name] = new[-1].seq
        oldest = self.model.entries[0].time_ns if self.model.entries else 0
        crashes = [crash for event in new if (crash := crash_entry(host.name, event)) and crash.time_ns >= oldest]
        self.model.extend(one for one in crashes if not self.scope or self.scope in (one.instance, _service(host, one)))
        if crashes:
            self.repaint_soon()

    @property
    def behind(self) -> float:
        """Seconds that what comes in is old, because more is written than can be read; 0 when it is not."""
        at, late = self._late
        return late if late >= _BEHIND and self.console_app.now() - at < _BEHIND else 0.0

    # Drawing

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        lines = [Line(ruled(*self._title(), width))]
        if height >= 12:
            lines.append(Line(self._histogram(width)))
        body = height - len(lines)
        shown = self.model.shown
        if not shown:
            return [*lines, Line(), *paragraph(plain(self._why_empty()), "dim", width)]
        self._measure()
        rows: list[Line] = []
        index = self._first_row(width - 2, body)
        self._top = shown[index]
        first = index
        while index < len(shown) and len(rows) < body:
            rows += self._draw_row(shown[index], width)
            index += 1
        # Of a line that is too high to be there as a whole its end is: the newest line stands at the bottom.
        left = body - len(rows)
        self._lead = self._draw_row(shown[first - 1], width)[-left:] if left > 0 and first else []
        rows = (self._lead + rows)[:body]
        for y in window.thumb(len(shown), first, index - first, len(rows)):
            rows[y] = Line((*fit(rows[y].spans, width - 1), ("▐", "dim")), rows[y].base)
        return lines + rows

    def _title(self) -> tuple[Spans, Spans]:
        model, query = self.model, self.model.filter.query
        level = LEVELS[self.model.filter.rank]
        following = ("follow ●", "ok") if self.follow else (f"+{self.new:,} new" if self.new else "reading", "warn")
        if self.follow and self.behind:
            key = shown_key(self.console_app.key_of(BY_ID["follow"]))
            skip = f", {key} skips" if self.size.width > 60 else ""
            following = (f"{format_age(self.behind)} behind{skip}", "warn")
        facts: list[tuple[str, str]] = [(self.scope or "all", "strong"), ("  ", ""), following]
        if query.text:
            facts += [("  /", "dim"), (query.text, "match")]
        if level:
            facts.append((f"  ≥ {level}", "warn"))
        if self.since_step:
            facts.append((f"  since {SINCE[self.since_step][1]}", "dim"))
        counts = (
            f"{len(model.shown):,}/{len(model.entries):,}"
            if self.whole or self.size.width > 60 or query.text or level
            else ""
        )
        lost = (f"{model.lost:,} lost", "bad" if model.lost else "dim")
        return title(self.number, "LOGS", self.has_focus, tuple(facts)), (
            (counts + "  " if counts else "", "dim"),
            lost,
            (" ", ""),
        )

    def _histogram(self, width: int) -> Spans:
        """Lines over time; a column with errors stands out, one where they are a fifth or more is alarming."""
        columns = self.model.histogram(width - 24)
        if not columns:
            return ()
        top = max(total for total, _ in columns) or 1
        spans: list[tuple[str, str]] = [(" ", "")]
        for total, errors in columns:
            style = "bad" if errors * 5 >= total > 0 else "s4" if errors else "g2"
            spans.append((_BARS[0 if not total else 1 + total * 7 // top], style))
        seconds = (self.model.shown[-1].time_ns - self.model.shown[0].time_ns) / 1e9
        rate = top / max(1.0, seconds / len(columns))
        spans.append((f"  peak {_rate(rate)} in {_span(max(1.0, seconds))}", "dim"))
        return tuple(spans)

    def _why_empty(self) -> str:
        if self.problem:
            return self.problem
        if self.model.entries:
            return f"none of {len(self.model.entries):,} lines passes the filter; esc clears it"
        return "no lines yet; they appear here as they are written" if self.caught_up else "reading ..."

    def _measure(self) -> None:
        several = len(self.model.hosts) > 1
        hosts = max((len(name) for name in self.model.hosts), default=0) if several else 0
        instances = max((len(name) for name in self.model.instances), default=0) if len(self.model.instances) > 1 else 0
        self.how = replace(
            self.how, host_width=min(14, hosts), instance_width=min(14, instances), millis=self.size.width >= 100
        )

    def _first_row(self, width: int, body: int) -> int:
        shown = self.model.shown

        def height(index: int) -> int:
            entry = shown[index]
            unfolded = entry.order in self.unfolded
            if not self.how.wrap and not unfolded:
                return 1
            return len(draw_entry(entry, self.how, self.model.filter.query, width, unfolded))

        if self.follow or self._cursor is None:
            return window.fill_back(height, len(shown), body)
        top = self.model.place(self._top) if self._top else 0
        return window.show(height, len(shown), top, self.model.place(self._cursor), body)

    def _draw_row(self, entry: Entry, width: int) -> list[Line]:
        at_cursor = not self.follow and self._cursor is not None and entry.order == self._cursor.order
        base = ("cursor" if self.has_focus else "rest") if at_cursor else ""
        edge = ("●", "mark") if entry.order in self.marks else ("▌", "accent") if at_cursor else (" ", "")
        drawn = draw_entry(entry, self.how, self.model.filter.query, width - 2, entry.order in self.unfolded)
        return [Line(fit((edge if not n else (" ", ""), *spans), width - 1), base) for n, spans in enumerate(drawn)]

    # Moving

    @property
    def cursor(self) -> Entry | None:
        """The line the reader is at; the newest while following."""
        shown = self.model.shown
        if not shown:
            return None
        return shown[-1] if self.follow or self._cursor is None else shown[self.model.place(self._cursor)]

    def go(self, index: int) -> None:
        """Stops following and puts the reader at a place of what is shown."""
        shown = self.model.shown
        if not shown:
            return
        self.follow = False
        self._cursor = shown[max(0, min(index, len(shown) - 1))]
        self.post_message(self.Moved(self._cursor.time_ns / 1e9))
        self.repaint()

    def show_time(self, time: float | None) -> None:
        """Goes where the time cursor is, without telling it back."""
        if time is None:
            self.follow, self.new = True, 0
        elif self.model.shown:
            self.follow, self._cursor = False, self.model.shown[self.model.near(int(time * 1e9))]
        self.repaint()

    def _step(self, by: int) -> None:
        here = self.cursor
        if here is not None:
            self.go(self.model.place(here) + by)

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
        self.go(0)

    def action_follow(self) -> None:
        if self.behind:
            self.console_app.say(f"skipped what was written in {format_age(self.behind)}; t reads further back", "warn")
            self.set_since(0)
            return
        self.follow, self.new = True, 0
        self.post_message(self.Moved(None))
        self.repaint()

    def _find(self, step: int, wanted: set[int] | None) -> None:
        here = self.cursor
        if here is None:
            return
        start = self.model.place(here) + (1 if self.follow and step < 0 else 0)
        found = self.model.find(
            start, step, lambda entry: entry.rank >= ERROR if wanted is None else entry.order in wanted
        )
        if found is None:
            what = "error" if wanted is None else "mark"
            before = self.console_app.key_of(BY_ID["previous-error"])
            back = f"; {shown_key(before)} looks before it" if wanted is None and step > 0 else ""
            self.console_app.say(f"no {what} {'after' if step > 0 else 'before'} this line{back}", "dim")
        else:
            self.go(found)

    def action_next_error(self) -> None:
        self._find(1, None)

    def action_previous_error(self) -> None:
        self._find(-1, None)

    def action_next_mark(self) -> None:
        self._find(1, self.marks)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._step(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        if not self.follow:
            self._step(3)

    def on_click(self, event: events.Click) -> None:
        y = event.y - (2 if self.size.height >= 12 else 1)
        if y < 0 or self._top is None:
            return
        index = self.model.place(self._top)
        if y < len(self._lead):
            self.go(index - 1)
            return
        y -= len(self._lead)
        while index < len(self.model.shown):
            entry = self.model.shown[index]
            y -= len(
                draw_entry(entry, self.how, self.model.filter.query, self.size.width - 2, entry.order in self.unfolded)
            )
            if y < 0:
                self.go(index)
                return
            index += 1

    # What is shown

    def set_filter(self, text: str) -> None:
        """Filters by a text of the filter language."""
        self._refilter(replace(self.model.filter, query=parse(text)))

    def action_level(self) -> None:
        ranks = LEVEL_STEPS
        rank = self.model.filter.rank
        self._refilter(replace(self.model.filter, rank=ranks[(ranks.index(rank) + 1) % len(ranks)]))

    def _refilter(self, chosen: LogFilter) -> None:
        model = self.model
        if len(model.entries) <= _AT_ONCE:
            model.set_filter(chosen)
            self.repaint()
            return
        entries, order = list(model.entries), model.order

        def work() -> None:
            worker = get_current_worker()
            shown = refilter(entries, chosen, lambda: worker.is_cancelled)
            if shown is not None:
                self.post_message(self.Filtered(chosen, shown, order))

        self.run_worker(work, group="filter", exclusive=True, thread=True)

    def on_log_pane_filtered(self, message: Filtered) -> None:
        self.model.install(message.chosen, message.shown, message.order)
        self.repaint()

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
            self.marks ^= {here.order}
            self.go(self.model.place(here))

    def action_scope(self) -> None:
        self.scope = "" if self.scope else self.one
        self.post_message(self.Wanted())

    def action_since(self) -> None:
        self.set_since((self.since_step + 1) % len(SINCE))

    def set_since(self, step: int) -> None:
        """Reads from so far back."""
        self.since_step = step
        self.post_message(self.Wanted())

    # Taking away

    def action_copy(self) -> None:
        here = self.cursor
        lines = [entry for entry in self.model.shown if entry.order in self.marks] or ([here] if here else [])
        text = "\n".join(entry.message for entry in lines)
        data = text.encode()
        if len(b64encode(data)) > COPY_LIMIT:
            self.console_app.say(
                f"cannot copy {len(data):,} bytes: terminals take {COPY_LIMIT:,}; export them with x", "warn"
            )
            return
        self.console_app.copy_to_clipboard(text)
        self.console_app.say(f"copied {len(lines):,} lines" if len(lines) != 1 else "copied the line", "ok")

    def action_export(self) -> None:
        stamp = datetime.fromtimestamp(self.console_app.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        path = Path.cwd() / f"blackhole-logs-{stamp}.txt"
        try:
            path.write_text("".join(map(_exported, self.model.shown)), encoding="utf-8")
        except OSError as error:
            self.console_app.say(
                f"cannot write {path}: {error.strerror}; start bhtui in a folder you can write to", "bad"
            )
            return
        self.console_app.say(f"wrote {len(self.model.shown):,} lines to {path.name}", "ok")


def _service(host: HostView, entry: Entry) -> str:
    known = host.instances.get(entry.instance)
    return known.status.service if known else ""


def _exported(entry: Entry) -> str:
    when = datetime.fromtimestamp(entry.time_ns / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"{when} {entry.host} {entry.instance} {LEVELS[entry.rank] or '-'} {entry.message}\n"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 1 else f"{max(1, per_second * 60):.0f}/min"


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


__all__ = ["SINCE", "LogPane", "fields"]
