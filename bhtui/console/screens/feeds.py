"""Keeps the log and graph panes of a screen fed: one worker each, which ends with the screen."""

from __future__ import annotations

import asyncio

from bhtui.core.errors import BlackholeError
from bhtui.rpc.blackhole.v1 import logs_pb2, metrics_pb2

from ..models.series import step_of
from ..panes.graphs import GraphPane
from ..panes.logs import SINCE, LogPane
from ..sources.message import LogsSeen, Seen
from .base import BaseScreen

TAIL = 2000
"""Newest lines that a view starts with."""
_RETRY = 3.0


class FeedingScreen(BaseScreen):
    """A screen with a log pane, and maybe a graph pane; the two share one time cursor."""

    def log_hosts(self) -> list[str]:
        """Hosts whose lines are shown."""
        return []

    @property
    def log_pane(self) -> LogPane:
        return self.query_one(LogPane)

    @property
    def graph_pane(self) -> GraphPane | None:
        return next(iter(self.query(GraphPane)), None)

    def refresh_view(self) -> None:
        if self.is_mounted:
            for host in self.log_hosts():
                self.log_pane.note(self.console_app.host(host))
        super().refresh_view()

    def start_logs(self) -> None:
        """Reads the lines the pane wants, from their beginning."""
        pane = self.log_pane
        pane.restart()
        request = logs_pb2.LogsRequest(follow=True, names=[pane.scope] if pane.scope else [])
        seconds = SINCE[pane.since_step][0]
        if seconds:
            request.since_ns = int((self.console_app.now() - seconds) * 1e9)
        else:
            request.tail = TAIL
        self.run_worker(self._feed_logs(request), name="logs", group="logs", exclusive=True)

    async def _feed_logs(self, request: logs_pb2.LogsRequest) -> None:
        async with asyncio.TaskGroup() as group:
            for host in self.log_hosts():
                group.create_task(self._feed_host(host, request))

    async def _feed_host(self, host: str, request: logs_pb2.LogsRequest) -> None:
        app, pane = self.console_app, self.log_pane
        try:
            async for batch in app.backend.logs(host, request):
                app.record(Seen(app.now(), host, LogsSeen(" ".join(request.names), batch)))
                pane.take(host, batch)
        except BlackholeError as error:
            pane.problem = str(error)
            pane.repaint_soon()

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

    def on_log_pane_wanted(self, event: LogPane.Wanted) -> None:
        event.stop()
        self.start_logs()

    def on_graph_pane_wanted(self, event: GraphPane.Wanted) -> None:
        event.stop()
        self.start_graphs()

    def on_log_pane_moved(self, event: LogPane.Moved) -> None:
        if self.graph_pane is not None:
            self.graph_pane.show_time(event.at)

    def on_graph_pane_moved(self, event: GraphPane.Moved) -> None:
        self.log_pane.show_time(event.at)

    def set_filter(self, text: str) -> None:
        self.log_pane.set_filter(text)
        self.refresh_footer()

    def filter_text(self) -> str:
        return self.log_pane.model.filter.query.text
