"""All hosts together: the reducer over them, and the order and choice a person sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..sources.message import HostInfo, Seen
from .host import HostView, reduce_host
from .match import Query
from .trouble import Level, host_level, link_text, trouble_text


@dataclass(frozen=True, slots=True)
class FleetView:
    """Every host by name, in the inventory's order."""

    hosts: Mapping[str, HostView] = field(default_factory=dict)

    def groups(self) -> dict[str, int]:
        """Groups with how many hosts each has."""
        found: dict[str, int] = {}
        for view in self.hosts.values():
            if view.info.group:
                found[view.info.group] = found.get(view.info.group, 0) + 1
        return found

    def worst(self, now: float) -> tuple[Level, str]:
        """The worst that is wrong anywhere, in words."""
        level, text = Level.FINE, ""
        for view in self.hosts.values():
            here = host_level(view, now)
            if here > level:
                level, text = here, f"{view.name}: {trouble_text(view, now)}"
        return level, text


def reduce_fleet(fleet: FleetView, seen: Seen) -> FleetView:
    """The fleet after something was seen of one host."""
    old = fleet.hosts.get(seen.host) or HostView(HostInfo(seen.host))
    new = reduce_host(old, seen)
    return fleet if new is fleet.hosts.get(seen.host) else replace(fleet, hosts={**fleet.hosts, seen.host: new})


def chosen(fleet: FleetView, query: Query, group: str, faults_only: bool, now: float) -> list[HostView]:
    """Hosts that pass the filter, worst first, then by name."""
    levels = {view.name: host_level(view, now) for view in fleet.hosts.values()}
    return sorted(
        (
            view
            for view in fleet.hosts.values()
            if (not group or view.info.group == group)
            and (not faults_only or levels[view.name] > Level.FINE)
            and query.matches(_words(view, now))
        ),
        key=lambda view: (-levels[view.name], view.name),
    )


def _words(view: HostView, now: float) -> str:
    states = " ".join(f"{one.name} {one.status.state} {one.status.health}" for one in view.instances.values())
    return f"{view.name} {view.info.address} {view.info.group} {link_text(view, now)} {states}"
