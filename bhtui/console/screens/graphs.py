"""Graphs on a screen of their own: of an instance, a service, a host or many, with a time that the log shares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from textual.widget import Widget

from bhtui.core.errors import BlackholeError, UsageError
from bhtui.rpc.blackhole.v1 import metrics_pb2

from ..actions import Action, bindings
from ..columns.metrics import BY_NAME, METRICS, MORE, SETS
from ..models.panels import Scope, Subject, panels, scopes
from ..models.series import WINDOW_NAMES, SeriesModel, step_of
from ..models.trouble import Level, host_level, trouble_text
from ..paint import Spans, plain
from ..panes.graphs import moment
from ..panes.grid import GridPane
from ..sources.message import Seen
from .base import BaseScreen
from .goto import GotoScreen, Place

_RETRY = 3.0
"""Seconds until the next try after one that failed."""
MANY = 6
"""Subjects with more than so many begin with one metric of each."""


class GraphScreen(BaseScreen):
    """Small multiples."""

    contexts = ("graphs-screen",)
    BINDINGS = bindings("graphs-screen")
    AUTO_FOCUS = "GridPane"

    def __init__(self, hosts: Sequence[str], instance: str = "", at: float | None = None) -> None:
        super().__init__()
        self.hosts, self.instance = list(hosts), instance
        self.host = hosts[0] if len(hosts) == 1 else ""
        self.series = SeriesModel()
        self.problems: dict[str, str] = {}
        self.together = False
        self._scope = 0
        self._subjects: tuple[Subject, ...] = ()
        self._set: int | None = 0
        self._metrics: tuple[str, ...] = SETS[0][1]
        self._at = at

    def body(self) -> Iterable[Widget]:
        self.grid = GridPane(self.series)
        self.grid.cursor = self._at
        yield self.grid

    def on_mount(self) -> None:
        if self._at is not None:
            self.grid.back = max(0.0, self.console_app.now() - self._at - self.grid.window / 2)
        self._arrange()
        self._suit()
        self.refresh_view()
        self._feed()

    # Whose, and what

    @property
    def scope(self) -> Scope:
        """Whose series are shown."""
        found = scopes([self.console_app.host(name) for name in self.hosts], self.instance)
        return found[self._scope % len(found)]

    def _arrange(self) -> None:
        """Lays out what is wanted; instances come and go."""
        scope = self.scope
        if scope.subjects != self._subjects:
            self._subjects = scope.subjects
            if self.is_mounted:
                self._feed()
        made = panels(self._subjects, self._metrics, self.together and len(self._subjects) > 1)
        if made != self.grid.panels:
            self.grid.show(made, len(self.hosts) > 1)

    def _suit(self) -> None:
        """Many are compared by one metric at first; one is seen whole."""
        if len(self._subjects) > MANY and self._set == 0:
            self._set, self._metrics = None, ("cpu_percent",)
        elif len(self._subjects) == 1 and self._set is None:
            self._set, self._metrics = 0, SETS[0][1]
        self._arrange()

    def show(self) -> None:
        self._arrange()
        self.grid.problem = next(iter(self.problems.values()), "")
        self.grid.repaint()

    def path(self) -> tuple[str, ...]:
        where = self.hosts[0] if len(self.hosts) == 1 else f"{len(self.hosts)} hosts"
        return ("fleet", where, "graphs")

    def facts(self) -> Spans:
        grid = self.grid
        name = SETS[self._set][0] if self._set is not None else _label(self._metrics[0])
        sources = dict.fromkeys(filter(None, self.series.sources.values()))
        told: list[tuple[str, str]] = [
            (plain(self.scope.name), "strong"), ("  ", ""), (name, "accent"), ("  ", ""),
            (WINDOW_NAMES[grid.window], "accent"),
        ]  # fmt: skip
        if grid.cursor is not None:
            told += [("  at ", "dim"), (moment(grid.cursor, grid.window), "accent")]
        elif grid.back:
            told += [("  up to ", "dim"), (moment(grid.end, grid.window), "accent")]
        if sources:
            told += [("  from ", "dim"), (plain(", ".join(sources)), "notice")]
        if self.problems and grid.seen():
            host, why = next(iter(self.problems.items()))
            told += [(f"  {host}: {plain(why)}" if len(self.hosts) > 1 else f"  {plain(why)}", "warn")]
        return tuple(told)

    def worst(self) -> tuple[Level, str]:
        if not self.host:
            return super().worst()
        view, now = self.console_app.host(self.host), self.console_app.now()
        return host_level(view, now), trouble_text(view, now)

    def offers(self, action: Action) -> bool:
        return action.id != "together" or len(self._subjects) > 1

    # Samples

    def _feed(self) -> None:
        """Reads the samples of what is shown, from the beginning of the window, and goes on with new ones."""
        self.run_worker(self._on_hosts(self._subjects), name="graphs", group="graphs", exclusive=True)

    async def _on_hosts(self, subjects: Sequence[Subject]) -> None:
        async with asyncio.TaskGroup() as group:
            for host in dict.fromkeys(one.host for one in subjects):
                group.create_task(self._feed_host(host, [one for one in subjects if one.host == host]))

    async def _feed_host(self, host: str, subjects: Sequence[Subject]) -> None:
        app, grid = self.console_app, self.grid
        step, until = step_of(grid.window), app.now() - grid.back if grid.back else 0.0
        since = (until or app.now()) - grid.window * 1.02
        request: dict[str, Any] = {
            "names": [one.name for one in subjects], "metrics": self._metrics, "step": step,
            "until_ns": int(until * 1e9), "by_service": any(one.is_service for one in subjects),
        }  # fmt: skip
        is_first = True
        while True:
            asked = metrics_pb2.SeriesRequest(since_ns=int(since * 1e9), **request)
            try:
                answer = await app.backend.series(host, asked)
            except BlackholeError as error:
                if isinstance(error, UsageError) and request["metrics"]:
                    request["metrics"] = ()  # an agent of another version, that does not know some: all are asked for
                    continue
                self.problems[host] = str(error)
                app.refresh_soon()
                await asyncio.sleep(_RETRY)
                continue
            self.problems.pop(host, None)
            app.record(Seen(app.now(), host, answer))
            if is_first:  # what is seen of another time or step stays until there is something better
                for one in subjects:
                    self.series.reset(host, one.name)
                is_first = False
            self.series.add(host, answer)
            app.refresh_soon()
            if grid.back:
                return
            times = [series.times_ns[-1] for series in answer.series if series.times_ns]
            since = max(times) / 1e9 if times else since
            await asyncio.sleep(max(step, app.frame * 4))

    def on_grid_pane_wanted(self, event: GridPane.Wanted) -> None:
        event.stop()
        self._feed()
        self.console_app.refresh_soon()

    def on_grid_pane_moved(self, event: GridPane.Moved) -> None:
        event.stop()
        self.console_app.refresh_soon()

    # The time that is shared

    def moment(self) -> float | None:
        return self.grid.cursor

    def take_moment(self, at: float | None) -> None:
        if at is not None:
            self.grid.move(at)

    # Keys

    def _use(self, metrics: Sequence[str], number: int | None) -> None:
        self._set, self._metrics = number, tuple(metrics)
        self.grid.selected = ""
        self._arrange()
        self._feed()
        self.refresh_view()

    def action_metrics(self) -> None:
        number = 0 if self._set is None else (self._set + 1) % len(SETS)
        self._use(SETS[number][1], number)

    def action_metric(self) -> None:
        places = [Place(name, "set", ", ".join(map(_label, metrics)), "", partial(self._use, metrics, number))
                  for number, (name, metrics) in enumerate(SETS)]  # fmt: skip
        places += [Place(one.label, "metric", one.name, "", partial(self._use, (one.name,), None))
                   for one in (*METRICS, *MORE)]  # fmt: skip

        def run(place: Place | None) -> None:
            if place is not None:
                place.run()

        self.app.push_screen(GotoScreen("show", places), run)

    def action_whose(self) -> None:
        self._scope += 1
        self.grid.selected = ""
        self._arrange()
        self._suit()
        self.refresh_view()

    def action_together(self) -> None:
        self.together = not self.together
        self._arrange()
        self.refresh_view()

    def action_log_here(self) -> None:
        subject = self.grid.subject
        hosts = [subject.host] if subject is not None else self.hosts
        scope = subject.name if subject is not None and not subject.is_host else ""
        self.console_app.go_logs(hosts, scope, self.grid.cursor)

    def action_back(self) -> None:
        if self.grid.alone:
            self.grid.action_alone()
        else:
            super().action_back()


def _label(metric: str) -> str:
    return BY_NAME[metric].label if metric in BY_NAME else metric
