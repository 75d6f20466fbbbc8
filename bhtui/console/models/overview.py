"""What a host runs and has, as lists of things that a person can look into and adopt. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb

from .host import HostView
from .match import Query

Kind = Literal["unit", "listener", "process", "container"]
About = pb.OverviewUnit | pb.OverviewListener | pb.OverviewProcess | pb.OverviewContainer


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them."""

    kind: Kind
    key: str
    about: About
    host: HostView
    target: str = ""
    """What `adopt` is told; empty: it is a service already, or nothing that could be one."""
    owner: str = ""
    """The service of ours that it is or belongs to."""


@dataclass(frozen=True, slots=True)
class Things:
    """Those of one host, the most important first."""

    units: tuple[Thing, ...] = ()
    listeners: tuple[Thing, ...] = ()
    processes: tuple[Thing, ...] = ()
    containers: tuple[Thing, ...] = ()

    def find(self, key: str) -> Thing | None:
        """The thing of that key, if it is there still."""
        every = (*self.units, *self.listeners, *self.processes, *self.containers)
        return next((each for each in every if each.key == key), None)


def things(host: HostView, query: Query | None = None) -> Things:
    """What the host's last overview has, as far as it passes a filter."""
    seen = host.overview or pb.OverviewResponse()
    failed = {unit.name for unit in seen.failed}
    units = [*seen.failed, *(unit for unit in seen.units if unit.name not in failed)]
    found = Things(
        tuple(_unit(host, each) for each in units),
        tuple(_listener(host, each) for each in seen.listeners),
        tuple(_process(host, each) for each in seen.processes),
        tuple(_container(host, each) for each in seen.containers),
    )
    return found if query is None or not query.text else _passing(found, query)


def _passing(found: Things, query: Query) -> Things:
    def only(each: Iterable[Thing]) -> tuple[Thing, ...]:
        return tuple(thing for thing in each if query.matches(words(thing)))

    return Things(only(found.units), only(found.listeners), only(found.processes), only(found.containers))


def _unit(host: HostView, unit: pb.OverviewUnit) -> Thing:
    can = unit.name.endswith(".service") and not unit.service
    return Thing("unit", f"unit {unit.user} {unit.name}", unit, host, unit.name if can else "", unit.service)


def _container(host: HostView, each: pb.OverviewContainer) -> Thing:
    target = "" if each.service else f"container:{each.name}"
    return Thing("container", f"container {each.engine} {each.name}", each, host, target, each.service)


def _process(host: HostView, each: pb.OverviewProcess) -> Thing:
    is_kernel = each.command.startswith("[")
    target = "" if is_kernel else _owned(each.pid, each.unit, each.container, each.instance)
    return Thing("process", f"process {each.pid}", each, host, target, each.instance)


def _listener(host: HostView, each: pb.OverviewListener) -> Thing:
    target = _owned(each.pid, each.unit, each.container, each.instance) if each.HasField("pid") else ""
    return Thing("listener", f"listener {each.protocol} {each.address}", each, host, target, each.instance)


def _owned(pid: int, unit: str, container: str, instance: str) -> str:
    """What of a process is adopted: its container, its unit, or itself; nothing when it is ours."""
    if instance or unit.startswith("user@"):
        return ""
    return f"container:{container}" if container else unit or str(pid)


def words(thing: Thing) -> str:
    """What a filter looks at."""
    about = thing.about
    match about:
        case pb.OverviewUnit():
            return f"{about.name} {about.description} {about.state} {about.why} {about.service}"
        case pb.OverviewListener():
            return f"{about.protocol} {about.address} {about.process} {about.user} {about.unit} {about.container}"
        case pb.OverviewProcess():
            return f"{about.pid} {about.name} {about.user} {about.command} {about.unit} {about.container}"
        case _:
            return f"{about.name} {about.image} {about.engine} {about.state} {about.text}"


def failed_units(host: HostView) -> tuple[str, ...]:
    """Those that failed on a host where nothing is declared: there, nobody else tells of them."""
    if host.instances or host.overview is None:
        return ()
    return tuple(unit.name for unit in host.overview.failed)


def is_bare(host: HostView) -> bool:
    """Whether it has answered and declares nothing, and that is not for a configuration that was refused."""
    return bool(host.seen_at and host.agent) and not host.instances and not (host.agent and host.agent.config_error)


def bare_text(host: HostView) -> str:
    """What is to be said of such a host in a row."""
    failed = failed_units(host)
    if not failed:
        return "no services declared"
    many = f"{len(failed)} units failed" if len(failed) > 1 else "1 unit failed"
    return f"{many}: {', '.join(failed[:3])}{' …' if len(failed) > 3 else ''}"


def ago(host: HostView, at_ns: int, now: float) -> str:
    """`2 h ago`, by the host's clock; empty when the moment is not known."""
    return f"{format_age(host.instance_age(at_ns, now))} ago" if at_ns else ""
