"""Keeps the log and graph panes of a screen fed: one worker each, which ends with the screen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from bhtui.core.errors import BlackholeError
from bhtui.core.logorder import TOLERANCE_NS
from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2

from ..columns.cells import clock
from ..models.histogram import counted
from ..models.logflow import Flow, LogBlock
from ..models.logs import WARNING, Same
from ..models.reading import SINCE, Asking, first_of, unknown
from ..models.series import step_of
from ..paint import plain
from ..panes.graphs import GraphPane
from ..panes.logs import LogPane
from ..sources.intake import Intake, Sent
from ..sources.message import LogsSeen, Seen
from ..widgets.logline import folded
from .base import BaseScreen
from .write import WriteScreen

_RETRY = 3.0
_REST = 0.3
"""Seconds without another wish before the lines are counted."""
_PATIENCE = 60.0
"""Seconds that a host may look for a line."""
_FILTER_HELP = "words are regular expressions, !word must not be there, status>=500 looks into fields"


class FeedingScreen(BaseScreen):
    """A screen with a log pane, and maybe a graph pane; the two share one time cursor."""

    log_pane: LogPane
    """Made by `body`; still there for a task that ends after the screen has gone."""

    def __init__(self) -> None:
        super().__init__()
        self._counted: set[str] = set()
        """Hosts that were asked to count."""
        self._clocks: dict[str, int] = {}
        """Hosts whose wrong clock was told, and what it was wrong by."""

    def log_hosts(self) -> list[str]:
        """Hosts whose lines are shown."""
        return []

    @property
    def graph_pane(self) -> GraphPane | None:
        return next(iter(self.query(GraphPane)), None)

    def refresh_view(self) -> None:
        if self.is_mounted:
            for host in self.log_hosts():
                self.log_pane.note(self.console_app.host(host))
            self._count_again()
        super().refresh_view()

    # Lines

    def asking(self, host: str) -> Asking:
        """What the log pane wants of a host."""
        pane = self.log_pane
        known = frozenset(self.console_app.host(host).instances)
        offset = pane.offsets.get(host, 0)
        return Asking((pane.scope,) if pane.scope else (), pane.chosen, host, known, offset)

    def start_logs(self) -> None:
        """Reads the lines the pane wants, from their beginning."""
        pane = self.log_pane
        pane.is_sifted = bool(pane.at_ns or pane.since_step) and pane.is_filtered
        pane.restart()
        self._set_clocks()
        self.run_worker(self._read(), name="logs", group="logs", exclusive=True)
        self._start_count()

    def _set_clocks(self) -> None:
        """Lines of several hosts are in one order only where their clocks agree; one's own may be as wrong as it is."""
        pane, hosts = self.log_pane, self.log_hosts()
        offsets = {host: self.console_app.host(host).clock_offset_ns for host in hosts} if len(hosts) > 1 else {}
        pane.offsets = {host: offset for host, offset in offsets.items() if offset}
        for host, offset in pane.offsets.items():
            side = "behind" if offset > 0 else "ahead of"
            if abs(self._clocks.get(host, 0) - offset) > TOLERANCE_NS:
                self._clocks[host] = offset
                text = (
                    f"the clock of {host} is {format_age(abs(offset) / 1e9)} {side} ours; its lines are shown by ours"
                )
                self.console_app.say(text, "warn")

    async def _read(self) -> None:
        pane, app, hosts = self.log_pane, self.console_app, self.log_hosts()
        flow = Flow(hosts, pane.offsets, pane.model.order)

        def step(batches: Sequence[Sent]) -> LogBlock:
            return flow.step(batches, pane.model.filter, pane.model.order, int(app.now() * 1e9))

        intake = Intake(hosts, step, lambda: flow.is_holding)
        async with asyncio.TaskGroup() as group:
            group.create_task(intake.run(pane.take, partial(_while_held, pane)))
            for host in hosts:
                group.create_task(self._feed_host(host, intake))

    async def _feed_host(self, host: str, intake: Intake[LogBlock]) -> None:
        pane, asking = self.log_pane, self.asking(host)
        try:
            if pane.at_ns:
                at_ns = pane.at_ns
                await self._feed_older(host, asking.before(at_ns))
                await self._follow(host, asking.after(at_ns), intake)
            else:
                seconds = SINCE[pane.since_step][0]
                await self._follow(host, asking.newest(seconds, int(self.console_app.now() * 1e9)), intake)
        except BlackholeError as error:
            pane.problem = str(error)
            pane.repaint_soon()

    async def _follow(self, host: str, request: logs_pb2.LogsRequest, intake: Intake[LogBlock]) -> None:
        app, pane = self.console_app, self.log_pane
        request.columns = True
        async for batch in app.backend.logs(host, request):
            app.record(Seen(app.now(), host, LogsSeen(" ".join(request.names), batch)))
            await intake.put(host, batch)
            times = batch.columns.times_ns or [line.time_ns for line in batch.lines[-1:]]
            while times and pane.is_ahead(times[-1] + pane.offsets.get(host, 0)):
                pane.moved.clear()
                await pane.moved.wait()

    async def _feed_older(self, host: str, request: logs_pb2.LogsRequest) -> int:
        """Reads a page; returns how many of its lines are shown."""
        app, pane = self.console_app, self.log_pane
        lines: list[logs_pb2.LogLine] = []
        async for batch in app.backend.logs(host, request):
            app.record(Seen(app.now(), host, LogsSeen(" ".join(request.names), batch)))
            lines += batch.lines
        return pane.take_older(host, lines) if lines else 0

    def on_log_view_wanted(self, event: LogPane.Wanted) -> None:
        event.stop()
        self.start_logs()

    def on_log_view_older(self, event: LogPane.Older) -> None:
        event.stop()
        if not any(worker.name == "older" and worker.is_running for worker in self.workers):
            self._ask(self._load_older(), "older")

    async def _load_older(self) -> None:
        pane, found = self.log_pane, 0
        for host in self._answering():
            first = pane.model.first(host) or pane.model.span[0] or int(self.console_app.now() * 1e9)
            there = len(pane.model.at(host, first))
            found += await self._feed_older(host, self.asking(host).older(first, there))
        if found:
            pane.is_sifted = pane.is_sifted or pane.is_filtered
        else:
            self.console_app.say("this is the first line that is kept" + (" and passes" * pane.is_filtered), "dim")

    def _ask(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A question that one key asked: what goes wrong is told, and another of its kind takes its place."""

        async def answer() -> None:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await work
            except (BlackholeError, TimeoutError) as error:
                why = str(error) or f"no answer in {_PATIENCE:.0f} s; narrow it down by a service or a filter"
                self.console_app.say(f"cannot look there: {why}", "warn")

        self.run_worker(answer(), name=name, group=name, exclusive=True)

    def _answering(self) -> list[str]:
        """Hosts that can be asked now."""
        now = self.console_app.now()
        return [host for host in self.log_hosts() if self.console_app.host(host).fresh(now)]

    # What is where nothing is loaded

    def on_log_view_beyond(self, event: LogPane.Beyond) -> None:
        event.stop()
        self._ask(self._look_beyond(event.step, event.rank), "find")

    async def _look_beyond(self, step: int, rank: int) -> None:
        app, pane = self.console_app, self.log_pane
        what = f"{'warning' if rank == WARNING else 'error'} {'before' if step < 0 else 'after'} this line"
        app.say(f"looking for an {what} ..." if rank > WARNING else f"looking for a {what} ...", "dim")
        found = first_of(
            await asyncio.gather(*(self._first_beyond(host, step, rank) for host in self._answering())), step
        )
        if found is None:
            app.say(f"no {what}", "dim")
            return
        app.say(f"{clock(found.time_ns)} {found.instance}: {folded(found.message)[0]}", "dim")
        pane.seek_line(Same(found.time_ns, found.instance, found.message))
        pane.post_message(LogPane.Moved(found.time_ns / 1e9))

    async def _first_beyond(self, host: str, step: int, rank: int) -> logs_pb2.LogLine | None:
        """The nearest line of a host that is not loaded and passes all of the filter, with its time in the view."""
        found = await self._look_at(host, step, rank)
        if found is not None:
            found.time_ns += self.log_pane.offsets.get(host, 0)
        return found

    async def _look_at(self, host: str, step: int, rank: int) -> logs_pb2.LogLine | None:
        model, chosen = self.log_pane.model, self.log_pane.chosen.query
        edge = model.span[step > 0] or int(self.console_app.now() * 1e9)
        there = Counter(model.at(host, edge))
        request = self.asking(host).worse(rank, step, edge, there.total())
        passing: list[logs_pb2.LogLine] = []
        async with aclosing(self.console_app.backend.logs(host, request)) as batches:
            async for batch in batches:
                new = [one for one in batch.lines if chosen.matches_line(host, one.instance, one.message)]
                if step > 0 and (line := unknown(new, there, step)):
                    return line
                passing += new if step < 0 else []
        return unknown(passing, there, step)

    # The histogram

    def _start_count(self) -> None:
        self.run_worker(self._count(), name="count", group="count", exclusive=True)

    def on_log_view_recount(self, event: LogPane.Recount) -> None:
        event.stop()
        self._start_count()

    def _count_again(self) -> None:
        """Counts when a host can be asked that could not, and when lines that came since have been dropped."""
        pane = self.log_pane
        is_full = pane.past is not None and pane.model.evicted and pane.model.span[0] > pane.past.end
        if not (is_full or set(self._answering()) - self._counted):
            return
        if not any(worker.name == "count" and not worker.is_finished for worker in self.workers):
            self._start_count()

    async def _count(self) -> None:
        """Has the hosts count what is not loaded. Where they cannot, the histogram shows what is."""
        pane, app = self.log_pane, self.console_app
        await asyncio.sleep(_REST)
        hosts = self._answering()
        self._counted = set(hosts)
        start, end = pane.strip_now()
        start = 0 if SINCE[pane.since_step][0] < 0 else start
        askings = [(host, self.asking(host)) for host in hosts]
        if not askings or not all(asking.is_exact for _, asking in askings):
            return
        try:
            answers = await asyncio.gather(
                *(app.backend.count_logs(host, asking.counts(start, end)) for host, asking in askings)
            )
        except BlackholeError as error:  # an agent of before there were counts; the strip is of what is loaded
            app.log.debug(f"no counts: {error}")
            pane.past = None
            return
        for (host, _), answer in zip(askings, answers, strict=True):
            for count in answer.counts:
                count.start_ns += pane.offsets.get(host, 0)
        pane.past = counted(start, end, answers)
        pane.repaint_soon()

    # Samples

    def start_graphs(self) -> None:
        """Reads the samples the pane wants, and goes on with new ones."""
        pane = self.graph_pane
        if pane is not None and pane.host:
            self.run_worker(self._feed_graphs(pane), name="graphs", group="graphs", exclusive=True)

    async def _feed_graphs(self, pane: GraphPane) -> None:
        app = self.console_app
        host, subject, step = pane.host, pane.subject, step_of(pane.window)
        app.series.reset(host, subject)
        since = app.now() - pane.window
        pane.problem = ""
        while True:
            request = metrics_pb2.SeriesRequest(names=[subject], since_ns=int(since * 1e9), step=step)
            try:
                answer = await app.backend.series(host, request)
            except BlackholeError as error:
                pane.problem = str(error)
                await asyncio.sleep(_RETRY)
                continue
            app.take(Seen(app.now(), host, answer))
            pane.repaint_soon()
            times = [series.times_ns[-1] for series in answer.series if series.times_ns]
            since = max(times) / 1e9 if times else since
            await asyncio.sleep(max(step, app.frame * 4))

    def on_graph_pane_wanted(self, event: GraphPane.Wanted) -> None:
        event.stop()
        self.start_graphs()

    # One time for both

    def on_log_view_moved(self, event: LogPane.Moved) -> None:
        if self.graph_pane is not None:
            self.graph_pane.show_time(event.at)

    def on_log_pane_shown(self, event: LogPane.Shown) -> None:
        if self.graph_pane is not None:
            self.graph_pane.show_log(event.first, event.last)

    def on_graph_pane_moved(self, event: GraphPane.Moved) -> None:
        self.log_pane.seek(event.at)

    def moment(self) -> float | None:
        cursor = self.log_pane.cursor
        return cursor.time_ns / 1e9 if cursor is not None and not self.log_pane.follow else None

    def take_moment(self, at: float | None) -> None:
        if at is not None:
            self.log_pane.seek(at)
            if self.graph_pane is not None:
                self.graph_pane.show_time(at)

    # Filter and notes

    def set_filter(self, text: str) -> None:
        self.log_pane.set_filter(text)
        self.refresh_footer()

    def filter_text(self) -> str:
        return self.log_pane.chosen.query.text

    def filter_help(self) -> str:
        return _FILTER_HELP

    def filter_result(self) -> str:
        return f"{self.log_pane.counts()} lines"

    def on_log_view_filtered(self) -> None:
        self.refresh_prompt()

    def on_log_pane_annotate(self, event: LogPane.Annotate) -> None:
        event.stop()
        pane, entry = self.log_pane, event.entry

        def write(text: str | None) -> None:
            if text is not None:
                pane.marks.write(entry, text)
                pane.repaint()

        about = f"{clock(entry.time_ns)} {entry.instance}  {plain(entry.message)}"
        self.app.push_screen(WriteScreen("note on a line", about, pane.marks.note(entry)), write)


async def _while_held(pane: LogPane) -> None:
    """Waits until lines can be taken in without losing those that are read."""
    while pane.holds:
        pane.moved.clear()
        pane.repaint_soon()
        await pane.moved.wait()
