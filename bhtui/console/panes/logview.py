"""The state of a log view: which lines are loaded, where the reader is, what the hosts have counted. Draws nothing.

A view is at the end of the log, or at a moment of the past: then the lines around it are loaded, more of them as the
reader gets near, and `end` goes back to the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from textual.message import Message
from textual.worker import get_current_worker

from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import logs_pb2

from ..models.entries import Entries, Entry
from ..models.histogram import Column, Counted, columns
from ..models.host import HostView
from ..models.logflow import LogBlock
from ..models.logs import UNFILTERED, WARNING, LogFilter, LogModel, Same, crash_entry, refilter
from ..models.marks import Marks
from ..models.match import parse_log
from ..models.reading import AHEAD, SINCE, strip_range
from ..sources.intake import STEP
from ..widgets.canvas import Canvas

LEVEL_STEPS = (0, 3, 4, 5)
LIMITED_SHOWN = 600.0
"""Seconds for which the title tells of lines that were over a rate limit."""
_BEHIND = 3.0
"""Seconds that new lines are late from which a reader is told so."""
_MANY = 100
"""Lines that come at once when there are more than can be read; a few that are late are only late."""
_AT_ONCE = 5_000
"""Lines that are filtered without a thread."""
_REST = 0.3
"""Seconds without a key after which the hosts are asked for what was chosen."""


class LogView(Canvas):
    """Lines of one view."""

    class Moved(Message):
        """The reader is at a line of this time; None: at the end, following."""

        def __init__(self, at: float | None) -> None:
            super().__init__()
            self.at = at

    class Wanted(Message):
        """Other lines are wanted: from further back, around a moment, or of other instances."""

    class Older(Message):
        """The reader is at the first line that is loaded and goes on."""

    class Beyond(Message):
        """The next line of this rank is wanted from where nothing is loaded: `step` 1 later, -1 earlier."""

        def __init__(self, step: int, rank: int) -> None:
            super().__init__()
            self.step, self.rank = step, rank

    class Filtered(Message):
        """A worker has filtered the lines up to `order`."""

        def __init__(self, run: int, chosen: LogFilter, shown: Entries, order: int) -> None:
            super().__init__()
            self.run, self.chosen, self.shown, self.order = run, chosen, shown, order

    class Recount(Message):
        """The histogram wants other counts."""

    def __init__(self) -> None:
        super().__init__()
        self.model = LogModel()
        self.scope = ""
        """The instance or service whose lines are read; empty: all."""
        self.one = ""
        """What `scope` becomes when one is asked for."""
        self.since_step = 0
        self.at_ns = 0
        """The moment of the past that is read; 0: the end of the log."""
        self.is_sifted = False
        """The hosts left out what the filter does not want, so another filter needs other lines."""
        self.caught_up = False
        self.problem = ""
        self.follow = True
        self.new = 0
        self.scanned: dict[str, int] = {}
        """By host how many lines were looked at for what is loaded."""
        self.unfolded: set[int] = set()
        self.noted: dict[str, int] = {}
        """By host the last event that was looked at for crashes."""
        self.limited: dict[str, int] = {}
        """By host: lines of what is shown that were over a rate limit of late, and are in no log."""
        self.offsets: dict[str, int] = {}
        """By host what is added to its times, because its clock is wrong."""
        self._links: dict[str, float] = {}
        """By host since when it is away; 0: it is not."""
        self.past: Counted | None = None
        self.strip = (0, 0)
        """The time that the histogram covers."""
        self.moved = asyncio.Event()
        """Set when the reader moves; who holds lines back looks again."""
        self._late = (0.0, 0.0)
        """When lines came last, and how old the newest of them was then, in seconds."""
        self._goal: Same | None = None
        """The very line that was sought at its time."""
        self._settling = False
        """The reader is put at `at_ns` until he moves."""
        self._cursor: Entry | None = None
        self._asking = self._filtering = 0
        """Numbers of the last question and the last filtering; those before are no longer wanted."""
        self.chosen = LogFilter()
        """The filter that was chosen last; that of `model` is the last one that is worked out."""
        self._columns: tuple[tuple[object, ...], list[Column]] = ((), [])

    @property
    def marks(self) -> Marks:
        """Those of the session."""
        return self.console_app.marks

    # Lines that come

    def restart(self) -> None:
        """Empties the view, because other lines are coming."""
        self._filtering += 1
        self.model.clear()
        self.model.filter = self.chosen
        self.follow, self._settling = not self.at_ns, bool(self.at_ns)
        self.new, self.caught_up, self.problem, self._late = 0, False, "", (0.0, 0.0)
        self.unfolded, self.noted, self.scanned = set(), {}, {}
        self._cursor = None
        self.forget()
        self.moved.set()
        self.repaint()

    def forget(self) -> None:
        """Forgets what was drawn, which was of other lines."""

    def reveal(self) -> None:
        """Shows the reader's line with others around it, where it is not on the screen already."""

    def take(self, block: LogBlock) -> None:
        """Takes in what a worker has made ready."""
        shown = self.model.take_block(block)
        for host, scanned in block.scanned.items():
            self.scanned[host] = max(scanned, self.scanned.get(host, 0))
        if self.caught_up and len(block.entries) >= _MANY and not self.at_ns:
            now, last = self.console_app.now(), block.entries[-1]
            self._late = (now, self.console_app.host(last.host).instance_age(last.stamp_ns, now))
        self.caught_up = self.caught_up or block.caught_up
        if self._settling:
            self._settle()
        elif not self.follow:
            self.new += shown
        self.repaint_soon()

    def take_older(self, host: str, lines: Iterable[logs_pb2.LogLine]) -> int:
        """Takes lines in from before those that are there; the reader stays. Returns how many are shown."""
        shown = self.model.add_older(host, lines, self.offsets.get(host, 0))
        if self.model.filter != self.chosen:  # a filtering under way knows nothing of them
            self._filter()
        if self._settling:
            self._settle()
        self.repaint_soon()
        return shown

    def _settle(self) -> None:
        if self.model.shown:
            self._cursor = self.model.shown[self._goal_place(self.at_ns)]
            self.reveal()

    def _goal_place(self, at_ns: int) -> int:
        line = self._goal
        return self.model.find_line(line) if line and line.time_ns == at_ns else self.model.near(at_ns)

    def is_ahead(self, frontier_ns: int) -> bool:
        """Whether lines from here on are so far behind the reader's that they can wait at the host."""
        if self.follow or self.caught_up or self._cursor is None:
            return False
        index = self.model.place(self._cursor) + AHEAD
        return index < len(self.model.shown) and frontier_ns > self.model.shown[index].time_ns

    @property
    def holds(self) -> bool:
        """Whether more lines would take those away that a person reads: then the rest waits at the hosts."""
        if self.follow or self._settling or self._cursor is None:
            return False
        return self.model.room(self._cursor) < 2 * STEP

    def note(self, host: HostView) -> None:
        """Puts between the lines where instances crashed, as what stands before that is what one looks for; and where a
        host was away."""
        self.limited[host.name] = sum(
            view.status.log_dropped.lines
            for name, view in host.instances.items()
            if self.scope in ("", name, view.status.service) and view.status.log_dropped.seconds < LIMITED_SHOWN
        )
        self._note_link(host)
        if not self.caught_up:
            return
        seen = self.noted.get(host.name, 0)
        new = [event for event in host.events if event.seq > seen]
        if not new:
            return
        self.noted[host.name] = new[-1].seq
        oldest = self.model.entries[0].time_ns if self.model.entries else 0
        offset = self.offsets.get(host.name, 0)
        found = [crash for event in new if (crash := crash_entry(host.name, event, offset))]
        crashes = [crash for crash in found if crash.time_ns >= oldest]
        self.model.extend(one for one in crashes if not self.scope or self.scope in (one.instance, _service(host, one)))
        if crashes:
            self.repaint_soon()

    def _note_link(self, host: HostView) -> None:
        was, now = self._links.get(host.name), self.console_app.now()
        is_live = host.link.state == "live"
        if was is None and not is_live:
            return  # nothing of it was shown yet that could have a gap
        if was is None or is_live == (was == 0.0):
            self._links[host.name] = was or 0.0
            return
        self._links[host.name] = 0.0 if is_live else now
        text = "the connection was lost; its lines are put in when it is back"
        if was:
            text = f"connected again after {format_age(now - was)}; what it wrote meanwhile is put in by its time"
        self.model.extend([Entry(int(now * 1e9), 0, host.name, "", WARNING, f"── {text} ──")])
        self.repaint_soon()

    @property
    def behind(self) -> float:
        """Seconds that what comes in is old, because more is written than can be read; 0 when it is not."""
        at, late = self._late
        return late if late >= _BEHIND and self.console_app.now() - at < _BEHIND else 0.0

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out."""
        return self.chosen != UNFILTERED

    @property
    def looked_at(self) -> int:
        """Lines among which those shown are: loaded, or looked at by the hosts where they filter."""
        return max(self.model.judged, sum(self.scanned.values()) if self.is_sifted else 0)

    # Where the reader is

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
        self.follow = self._settling = False
        self._cursor = shown[max(0, min(index, len(shown) - 1))]
        self.moved.set()
        self.post_message(self.Moved(self._cursor.time_ns / 1e9))
        self.repaint()

    def seek(self, time: float | None) -> None:
        """Goes to a time (Unix seconds), without telling it back; None: to the newest line. What is not loaded is
        asked for."""
        self._goal = None
        if time is None:
            self._to_end()
        else:
            self._seek(int(time * 1e9))

    def seek_line(self, line: Same) -> None:
        """Goes to one line, of which there may be many of the same moment."""
        self._goal = line
        self._seek(line.time_ns)

    def _seek(self, at_ns: int) -> None:
        first, last = self.model.span
        # Of the first moment that is loaded there may be lines that are not.
        if first < at_ns and (at_ns < last or self.caught_up) and self.model.shown:
            self.follow = self._settling = False
            self._cursor = self.model.shown[self._goal_place(at_ns)]
            self.reveal()
            self.moved.set()
            self.repaint()
        else:
            self.at_ns, self.follow, self._settling = at_ns, False, True
            self.ask_soon()

    def _to_end(self) -> None:
        is_away = self.at_ns and not self.caught_up
        self.follow, self.new, self.at_ns, self._settling = True, 0, 0, False
        if is_away:
            self.post_message(self.Wanted())
        self.moved.set()
        self.repaint()

    def ask_soon(self) -> None:
        """Asks for other lines when no key has been pressed for a moment."""
        self._asking += 1
        number = self._asking
        self.set_timer(_REST, lambda: self._ask(number))

    def _ask(self, number: int) -> None:
        if number == self._asking:
            self.post_message(self.Wanted())

    # What is shown

    def set_filter(self, text: str) -> None:
        """Filters by a text of the filter language."""
        self._refilter(replace(self.chosen, query=parse_log(text)))

    def action_level(self) -> None:
        ranks = LEVEL_STEPS
        rank = self.chosen.rank
        self._refilter(replace(self.chosen, rank=ranks[(ranks.index(rank) + 1) % len(ranks)]))

    def _refilter(self, chosen: LogFilter) -> None:
        if chosen == self.chosen:
            return
        self.chosen, self.past = chosen, None
        if self.is_sifted or self.since_step or self.at_ns:
            self._stay()
            self.ask_soon()
        else:
            self.post_message(self.Recount())
        self._filter()

    def _filter(self) -> None:
        """Works out what passes, in a thread when there is much."""
        self._filtering += 1
        model, chosen, run = self.model, self.chosen, self._filtering
        if len(model.entries) <= _AT_ONCE:
            model.set_filter(chosen)
            self.repaint()
            return
        entries, order = model.entries.copy(), model.order

        def work() -> None:
            worker = get_current_worker()
            shown = refilter(entries, chosen, lambda: worker.is_cancelled)
            if shown is not None:
                self.post_message(self.Filtered(run, chosen, shown, order))

        self.run_worker(work, group="filter", exclusive=True, thread=True)

    def _stay(self) -> None:
        """What is read next is around where the reader is now."""
        here = self.cursor
        if here is not None and not self.follow:
            self.at_ns = here.time_ns

    def on_log_view_filtered(self, message: Filtered) -> None:
        if message.run == self._filtering:
            self.model.install(message.chosen, message.shown, message.order)
            self.repaint()

    def action_scope(self) -> None:
        self.scope = "" if self.scope else self.one
        self.past = None
        self._stay()
        self.post_message(self.Wanted())

    def action_since(self) -> None:
        self.set_since((self.since_step + 1) % len(SINCE))

    def set_since(self, step: int) -> None:
        """Reads from so far back."""
        self.since_step, self.at_ns, self.past = step, 0, None
        self.post_message(self.Wanted())

    # The histogram

    def strip_now(self) -> tuple[int, int]:
        """The time the histogram covers, moved on where the end of the log is."""
        first = min(self.past.columns, default=0) if self.past else self.model.span[0]
        now_ns = int(self.console_app.now() * 1e9)
        self.strip = strip_range(SINCE[self.since_step][0], now_ns, self.at_ns, self.strip, first)
        return self.strip

    def strip_columns(self, width: int) -> list[Column]:
        """Its columns; counted once for what is there."""
        start, end = self.strip_now()
        each = max(1, (end - start) // max(1, width))
        end = -(-end // each) * each  # by whole columns, so that bars move and do not flicker
        known = (self.model.order, len(self.model.shown), start // each, end, width, id(self.past))
        if known != self._columns[0]:
            seconds = ((second * 10**9, Column(*counts)) for second, counts in self.model.seconds.items())
            self._columns = (known, columns(end - each * width, end, width, self.past, seconds))
        return self._columns[1]


def _service(host: HostView, entry: Entry) -> str:
    known = host.instances.get(entry.instance)
    return known.status.service if known else ""
