"""Limits that another configuration gives to an instance that runs: whether it can take them as it runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from bhtui.core.diff import fingerprint
from bhtui.core.override import LIMITS, PRIORITIES
from bhtui.core.replica import instance_spec, number_of
from bhtui.core.spec import LimitsSpec, ServiceSpec, Spec

from .gates import Picture
from .instance import Instance

Live = Callable[[Instance, LimitsSpec], str]
"""Why an instance cannot be held to other limits while it runs; empty: it can."""


def never(_: Instance, __: LimitsSpec) -> str:
    """Nothing holds limits."""
    return "nothing here holds limits"


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held to other limits as it runs, and why others that have other limits are not."""

    limits: Mapping[str, LimitsSpec]
    refused: Mapping[str, str]


def holds(picture: Picture, new: Spec, live: Live) -> Holds:
    """Of the instances of which the new configuration changes the limits and nothing else that a process notices."""
    limits: dict[str, LimitsSpec] = {}
    refused: dict[str, str] = {}
    for name, i in picture.items():
        service = new.services.get(i.service)
        if service is None or name not in service.instance_names() or not _differs_in_limits(i, service):
            continue
        if why := live(i, service.limits):
            refused[name] = why
        else:
            limits[name] = service.limits
    return Holds(limits, refused)


def _differs_in_limits(i: Instance, service: ServiceSpec) -> bool:
    new = instance_spec(service, number_of(i.name))
    if i.pid is None or i.spec.is_foreign or new.is_foreign or i.spec.limits == new.limits:
        return False
    # What its process was started with must be known: it may be another than its spec says now.
    return i.ran_as == fingerprint(i.spec) and fingerprint(replace(i.spec, limits=new.limits)) == fingerprint(new)


def cannot_hold(old: LimitsSpec, new: LimitsSpec, used: int | None, holder: Callable[[str], tuple[str, str]]) -> str:
    """Why the change of limits that hold needs a restart; empty: it needs none. `used`: bytes of memory in use."""
    for name in changed(old, new, LIMITS):
        held_by, why = holder(name)
        if not held_by:
            return f"nothing holds {name} of what runs: {why}"
    if new.memory is not None and new.memory != old.memory and used is not None and used >= new.memory:
        return "it uses more memory than it may"
    return ""


def changed(old: LimitsSpec, new: LimitsSpec, names: Collection[str] = (*LIMITS, *PRIORITIES)) -> list[str]:
    """The limits that differ."""
    return [name for name in names if getattr(old, name) != getattr(new, name)]
