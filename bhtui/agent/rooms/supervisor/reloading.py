"""The plan of another configuration: the difference is what is done; what it does not touch is not touched. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bhtui.core.diff import SpecDiff, diff, fingerprint
from bhtui.core.operation import Plan
from bhtui.core.replica import instance_spec, number_of
from bhtui.core.spec import Spec
from bhtui.core.states import ALIVE, Goal, State

from .aside import stay_up
from .builder import Builder
from .gates import Picture
from .machine import Instance
from .titles import change_lines, reload_title


@dataclass(frozen=True, slots=True)
class Change:
    """Another configuration, and the texts to apply it and to take it back."""

    spec: Spec
    yaml: str
    path: str
    old_yaml: str = ""
    old_path: str = ""


def plan_reload(spec: Spec, picture: Picture, change: Change) -> Plan:
    b, told = with_change(spec, picture, change)
    b.start(to_start(spec, picture, change, b.stops), {})
    for service in change.spec.services.values():
        for name in service.instance_names() if service.reload_signal else ():
            if name not in b.stops and name in picture and picture[name].state is State.RUNNING:
                args = {"signal": service.reload_signal}
                b.add("service.reload", name, reload_title(name, service), args, b.after_all, 20.0)
    same = [] if b.steps or told else ["the configuration is the one in force"]
    return b.build("reload-config", tuple(change.spec.services), [*told, *same], undo_on_failure=True)


def with_change(spec: Spec, picture: Picture, change: Change, leave: bool = False) -> tuple[Builder, list[str]]:
    """A builder whose first steps stop what the change touches and apply it, and what is to be said about that.

    `leave`: what runs is not stopped.
    """
    found = diff(spec, change.spec)
    touched = [n for n, i in picture.items() if i.state is not State.STOPPED and _is_touched(i, change.spec, found)]
    b = Builder(spec.services, picture)
    b.stop([] if leave else touched, restore=True)
    b.services = change.spec.services
    if change.spec.digest != spec.digest or found:
        args = {"yaml": change.yaml, "path": change.path, "old_yaml": change.old_yaml, "old_path": change.old_path}
        b.after_all = (b.add("spec.apply", change.path, f"apply {change.path}", args, b.stops.values(), 60.0),)
    running = [picture[n] for n in touched if picture[n].pid is not None]
    if leave:
        told = [_left_running(i, change.spec) for i in running]
    else:
        outdated = [i for i in running if _is_declared(i, change.spec) and i.service not in found.restarted]
        told = [f"{i.service} runs with an earlier configuration" for i in outdated]
        told += stay_up(change.spec, picture, touched)
    told += [
        f"{i.spec.ref} goes on, and is no service any more"
        for i in picture.values()
        if i.spec.is_foreign and i.state in ALIVE and not _is_declared(i, change.spec)
    ]
    return b, [*change_lines(found), *dict.fromkeys(told)]


def _is_declared(i: Instance, spec: Spec) -> bool:
    return i.service in spec.services and i.name in spec.services[i.service].instance_names()


def _left_running(i: Instance, new: Spec) -> str:
    """What is to be said of an instance that goes on although the configuration has changed."""
    if _is_declared(i, new):
        return f"{i.service} runs with the configuration before; `restart --reload-config` applies the change"
    name = i.name if i.service in new.services else i.service
    return f"{name} runs on and is not declared any more; `stop {name}` ends it"


def _is_touched(i: Instance, new: Spec, found: SpecDiff) -> bool:
    """Whether it cannot go on as it is: of a removed service, a removed replica, with another process.

    What a process was started with is what counts; one that an older agent has started does not say.
    """
    if i.spec.is_foreign:  # nothing that is declared of a unit or container is noticed by its processes
        return _is_declared(i, new) and not new.services[i.service].is_foreign
    if not _is_declared(i, new):
        return i.service in new.services or i.service in found.removed
    if i.pid is not None and i.ran_as:
        return i.ran_as != fingerprint(instance_spec(new.services[i.service], number_of(i.name)))
    return i.service in found.restarted


def to_start(spec: Spec, picture: Picture, change: Change, stops: Mapping[str, int]) -> list[str]:
    """What a change starts: added services, added replicas of those that are up, and again what was stopped for it."""
    names = []
    for service in change.spec.services.values():
        is_up = any(i.service == service.name and i.goal is Goal.UP for i in picture.values())
        for name in service.instance_names():
            added = name not in picture and (is_up or service.name not in spec.services)
            if added or (name in stops and picture[name].goal is Goal.UP):
                names.append(name)
    return names
