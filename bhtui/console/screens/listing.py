"""Screens that are a list: rows that a filter narrows, and below them what is known of the selected one."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Generic, TypeVar

from bhtui.core.errors import BlackholeError

from ..columns.column import Column
from ..columns.operations import without_host
from ..models.host import HostView
from ..models.match import parse
from ..paint import Line, Spans, paragraph, plain
from ..widgets.table import Row, Table
from .base import BaseScreen

T = TypeVar("T")


class ListScreen(BaseScreen, Generic[T]):
    """Its first table shows what passes the filter. A subclass gives the rows, and the words a filter sees of each."""

    def __init__(self) -> None:
        super().__init__()
        self.more = False
        """There are more rows than were asked for."""
        self._counts = (0, 0)

    @property
    def table(self) -> Table[T]:
        return self.query_one(Table)

    def rows(self) -> list[Row[T]]:
        """All there are, in their order."""
        raise NotImplementedError

    def words(self, item: T) -> str:
        """What a filter looks at."""
        raise NotImplementedError

    def show_selected(self) -> None:
        """Shows more of what is under the cursor."""

    def problem(self) -> str:
        """Why rows are missing."""
        return ""

    def nothing(self) -> str:
        """What stands there when all is well and there is none."""
        return "nothing"

    def show(self) -> None:
        every, query = self.rows(), parse(self._filter)
        shown = [row for row in every if row.item is not None and query.matches(self.words(row.item))]
        self._counts = (len(shown), len(every))
        self.table.set_rows(shown)
        self.show_selected()

    def why_empty(self, width: int) -> list[Line]:
        """What stands where there are no rows."""
        if self._counts[1]:
            text, style = "nothing passes the filter; esc clears it", "dim"
        elif problem := self.problem():
            text, style = problem, "bad"
        else:
            text, style = self.nothing(), "dim"
        return [Line(), *paragraph(plain(text), style, width)]

    def facts(self) -> Spans:
        shown, total = self._counts
        more = "+" * self.more
        if self._filter:
            return ((f"/{self._filter}", "match"), (f"  {shown:,} of {total:,}{more}", "dim"))
        return ((f"{total:,}{more}", "dim"),)

    def focus_back(self) -> None:
        self.table.focus()

    def on_table_moved(self) -> None:
        self.show_selected()
        self.refresh_footer()


class HostsListScreen(ListScreen[T]):
    """Rows of all hosts, or of some."""

    subject: ClassVar[str]
    """The last word of the breadcrumb."""
    columns: ClassVar[tuple[Column[Any], ...]]

    def __init__(self, hosts: list[str] | None = None) -> None:
        super().__init__()
        self.only = hosts

    @property
    def views(self) -> list[HostView]:
        app = self.console_app
        return [app.host(name) for name in self.only or app.fleet.hosts]

    def show(self) -> None:
        self.table.columns = without_host(self.columns) if len(self.views) == 1 else self.columns
        super().show()

    def path(self) -> tuple[str, ...]:
        return ("fleet", *(self.only or ()), self.subject)


class AskedListScreen(HostsListScreen[T]):
    """What hosts do not tell by themselves: each is asked again and again while the screen is there."""

    PERIOD = 3.0
    """Seconds between two looks, and until the next try after one that failed."""

    def __init__(self, hosts: list[str] | None = None) -> None:
        super().__init__(hosts)
        self.problems: dict[str, str] = {}

    async def ask(self, host: str) -> None:
        """Asks one, and takes what it says. Raises BlackholeError."""
        raise NotImplementedError

    def problem(self) -> str:
        return next(iter(self.problems.values()), "")

    def on_mount(self) -> None:
        self.run_worker(self._look(), name=self.subject, exclusive=True)

    async def _look(self) -> None:
        while True:
            async with asyncio.TaskGroup() as group:
                for view in self.views:
                    group.create_task(self._ask(view))
            self.console_app.refresh_soon()
            await asyncio.sleep(self.PERIOD)

    async def _ask(self, view: HostView) -> None:
        if not self.only and not view.fresh(self.console_app.now()):
            return
        try:
            await self.ask(view.name)
            self.problems.pop(view.name, None)
        except BlackholeError as error:
            self.problems[view.name] = str(error)

    def facts(self) -> Spans:
        if not self.problems or not self._counts[1]:
            return super().facts()
        host, why = next(iter(self.problems.items()))
        return (*super().facts(), (f"  {host}: {plain(why)}", "warn"))
