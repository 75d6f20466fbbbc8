"""What the graph screen shows: whose series, of which metrics, in which places of the screen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .host import HostView

HOST = "host"
LEAST_WIDTH, LEAST_HEIGHT = 38, 5
"""Columns and rows of a graph beside others."""
TOGETHER_HEIGHT = 9
"""Rows of a graph of several, which says who is who."""
MOST_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose series: an instance, a service as a whole, or the host itself."""

    host: str
    name: str
    is_service: bool = False

    @property
    def is_host(self) -> bool:
        return self.name == HOST

    def label(self, several_hosts: bool) -> str:
        """What it is called on the screen."""
        if self.is_host:
            return self.host
        told = f"{self.name} (all)" if self.is_service else self.name
        return f"{self.host} {told}" if several_hosts else told


@dataclass(frozen=True, slots=True)
class Scope:
    """Some subjects that one may want to see together."""

    name: str
    subjects: tuple[Subject, ...]


def scopes(views: Sequence[HostView], instance: str) -> list[Scope]:
    """What can be looked at, the nearest first; those with nobody in it are left out."""
    found = []
    if instance and len(views) == 1:
        (view,) = views
        service = _service(view, instance)
        mine = tuple(Subject(view.name, one) for one, of in _instances(view) if of == service)
        found.append(Scope(instance, (Subject(view.name, instance),)))
        if len(mine) > 1:
            found.append(Scope(f"{len(mine)} instances of {service}", mine))
    everybody = tuple(Subject(view.name, one) for view in views for one, _ in _instances(view))
    services = tuple(
        Subject(view.name, one, is_service=True)
        for view in views
        for one in dict.fromkeys(service for _, service in _instances(view))
    )
    hosts = tuple(Subject(view.name, HOST) for view in views)
    found += [
        Scope("the host" if len(hosts) == 1 else f"{len(hosts)} hosts", hosts),
        Scope(f"{len(services)} services", services),
        Scope(f"{len(everybody)} instances", everybody),
    ]
    return [scope for scope in found if scope.subjects]


def _instances(view: HostView) -> list[tuple[str, str]]:
    return [(name, one.status.service) for name, one in view.instances.items()]


def _service(view: HostView, instance: str) -> str:
    one = view.instances.get(instance)
    return one.status.service if one is not None else instance.rpartition("-")[0] or instance


class Panel(NamedTuple):
    """One graph: a metric, of one subject or of several together."""

    metric: str
    subjects: tuple[Subject, ...]

    @property
    def key(self) -> str:
        """By which it is found again when the graphs change."""
        return " ".join([self.metric, *(f"{one.host}/{one.name}" for one in self.subjects)])


def panels(subjects: Sequence[Subject], metrics: Iterable[str], together: bool) -> list[Panel]:
    """A graph for each metric and subject, those of one metric beside each other; `together`: one for each metric."""
    if together:
        return [Panel(metric, tuple(subjects)) for metric in metrics]
    return [Panel(metric, (subject,)) for metric in metrics for subject in subjects]


class Grid(NamedTuple):
    """How graphs are laid out."""

    columns: int
    rows: int
    """That are on the screen at once."""
    width: int
    """Of one graph."""
    heights: tuple[int, ...]
    """Of each row on the screen."""


def grid(count: int, width: int, height: int, least_height: int = LEAST_HEIGHT) -> Grid:
    """So that as many as possible are seen, and each is as large as it can be then."""
    most = max(1, min(MOST_COLUMNS, (width + 1) // (LEAST_WIDTH + 1), count))
    room = max(1, height // least_height)
    columns = next((each for each in range(1, most + 1) if each * room >= count), most)
    # Rows of graphs that are lower than wide are read well: a second column comes before many low rows.
    while columns < most and -(-count // columns) > max(2, height // 9):
        columns += 1
    rows = min(room, -(-count // columns)) or 1
    heights = tuple(height // rows + (1 if row < height % rows else 0) for row in range(rows))
    return Grid(columns, rows, (width - (columns - 1)) // columns, heights)
