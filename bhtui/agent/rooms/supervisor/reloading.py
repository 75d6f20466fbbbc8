"""The plan of another configuration: the difference is what is done; what it does not touch is not touched. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from typing import Any

from bhtui.core.diff import SpecDiff, diff, fingerprint
from bhtui.core.errors import UsageError
from bhtui.core.operation import Plan
from bhtui.core.replica import instance_spec, number_of
from bhtui.core.request import OnFailure, ReloadConfigRequest
from bhtui.core.spec import Spec
from bhtui.core.states import ALIVE, Goal, State

from .aside import stay_up
from .builder import APPLY, SWITCH, Builder
from .gates import Picture
from .instance import Instance
from .livelimits import Holds, Live, holds, never
from .rolling import Turns, roll
from .titles import change_lines


@dataclass(frozen=True, slots=True)
class Change:
    """Another configuration, and the texts to apply it and to take it back."""

    spec: Spec
    yaml: str
    path: str
    old_yaml: str = ""
    old_path: str = ""
    as_of: str = ""
    """Which text of that file, when it is not the one on the disk; for the plan."""

    @property
    def args(self) -> dict[str, Any]:
        """As a step is told."""
        return {"yaml": self.yaml, "path": self.path, "old_yaml": self.old_yaml, "old_path": self.old_path}


def plan_reload(spec: Spec, picture: Picture, change: Change, request: ReloadConfigRequest, live: Live = never) -> Plan:
    """The plan of a reload. `live` says whether limits can be changed as an instance runs. Raises UsageError."""
    undo = _undoes(request)
    if request.rolling:
        b, told = roll_change(spec, picture, change, live=live)
    else:
        b, told = _all_at_once(spec, picture, change, live)
    same = [] if b.steps or told else ["the configuration is the one in force"]
    return b.build("reload-config", tuple(change.spec.services), [*told, *same], undo_on_failure=undo)


def _undoes(request: ReloadConfigRequest) -> bool:
    if request.on_failure not in ("", *OnFailure):
        known = " or ".join(OnFailure)
        raise UsageError(f"cannot reload: on_failure is {request.on_failure!r}; it must be {known}")
    return request.on_failure == OnFailure.ROLLBACK or not (request.on_failure or request.rolling)


def _all_at_once(spec: Spec, picture: Picture, change: Change, live: Live) -> tuple[Builder, list[str]]:
    b, told = with_change(spec, picture, change, live=live)
    b.start(to_start(spec, picture, change, b.stops), {})
    for name in to_reload(picture, change.spec, b.stops):
        b.reload_step(name, b.spec_of(name), b.after_all)
    return b, told


def with_change(
    spec: Spec,
    picture: Picture,
    change: Change,
    leave: bool = False,
    live: Live = never,
    awaited: Set[str] = frozenset(),
) -> tuple[Builder, list[str]]:
    """A builder whose first steps stop what the change touches and apply it, and what is to be said about that.

    `leave`: what runs is not stopped, nor held to other limits. Of the services in `awaited` that holds for what is up;
    what is still starting would be waited for by a probe that is not its own.
    """
    found = diff(spec, change.spec)
    held = holds(picture, change.spec, never if leave else live)
    touched = _touched(picture, change.spec, found, held)
    b = Builder(spec.services, picture)
    if leave:
        b.stop([n for n in touched if picture[n].service in awaited and _only_starts(picture[n])], restore=True)
    else:
        for name in touched:
            # The others of its service go on, and take over what it does.
            if picture[name].service in change.spec.services and not _is_declared(picture[name], change.spec):
                b.before_stop[name] = [*b.drain(name)]
        b.stop(touched, restore=True)
    b.services = change.spec.services
    if change.spec.digest != spec.digest or found:
        title = f"apply {change.path}"
        b.after_all = (b.add(APPLY, change.path, title, change.args, b.stops.values(), 60.0),)
    for name, limits in held.limits.items():
        b.hold_step(name, limits, b.after_all)
    if leave:
        begun = [f"{n} was still starting with the configuration before; it begins anew" for n in b.stops]
        left = [n for n in touched if n not in b.stops]
        return b, [*_told(picture, change, found, left, held, leave), *begun]
    return b, _told(picture, change, found, touched, held, leave)


def _only_starts(i: Instance) -> bool:
    return i.state is State.STARTING and i.pid is not None and not i.spec.is_foreign


def roll_change(
    spec: Spec,
    picture: Picture,
    change: Change,
    first: Sequence[str] = (),
    also: Set[str] = frozenset(),
    live: Live = never,
) -> tuple[Builder, list[str]]:
    """A builder whose steps apply the change and restart what it touches one by one, and what is to be said about that.

    `first` take the first turns; `also` are started in any case, if they are declared.
    """
    found = diff(spec, change.spec)
    held = holds(picture, change.spec, live)
    stops = dict.fromkeys([*_touched(picture, change.spec, found, held), *(n for n in also if is_up(picture, n))])
    declared = {n for service in change.spec.services.values() for n in service.instance_names()}
    starts = {*to_start(spec, picture, change, stops), *(also & declared)}
    b = Builder(spec.services, picture)
    # What becomes a unit, or a process of ours, is another thing of the same name: it ends before there is the new one.
    b.stop([n for n in stops if n in starts and _changes_kind(picture[n], change.spec)], restore=True)
    b.services = change.spec.services
    reloads = frozenset(to_reload(picture, change.spec, stops))
    turns = Turns(stops.keys() - b.stops.keys(), starts, reloads, held.limits)
    if change.spec.digest != spec.digest or found:
        switch_step(b, change, turns)
    b.start_missing(sorted(turns.starts))
    roll(b, turns, first, range(len(b.steps)), restore=True)
    return b, _told(picture, change, found, stops, held, leave=False)


def switch_step(b: Builder, change: Change, turns: Turns) -> None:
    """Adds the step that applies a change to all but those whose turn is still to come."""
    args = {**change.args, "later": sorted(turns.stops & turns.starts)}
    title = f"apply {change.path}{change.as_of}, to each instance in turn"
    b.after_all = (b.add(SWITCH, change.path, title, args, b.stops.values(), 60.0),)


def _changes_kind(i: Instance, new: Spec) -> bool:
    return i.spec.is_foreign != new.services[i.service].is_foreign


def _touched(picture: Picture, new: Spec, found: SpecDiff, held: Holds) -> list[str]:
    up = {name: i for name, i in picture.items() if i.state is not State.STOPPED and name not in held.limits}
    return [name for name, i in up.items() if _is_touched(i, new, found)]


def is_up(picture: Picture, name: str) -> bool:
    """Whether there is something to stop."""
    return name in picture and picture[name].state is not State.STOPPED


def to_reload(picture: Picture, new: Spec, stops: Collection[str]) -> list[str]:
    """What runs on and can be told, by a signal or by its contract, to read its own configuration again."""
    able = [service for service in new.services.values() if service.reload_signal or service.contract]
    having = [name for service in able for name in service.instance_names()]
    return [name for name in having if name not in stops and name in picture and picture[name].state is State.RUNNING]


def _told(
    picture: Picture, change: Change, found: SpecDiff, touched: Collection[str], held: Holds, leave: bool
) -> list[str]:
    running = [picture[n] for n in touched if picture[n].pid is not None]
    if leave:
        told = [_left_running(i, change.spec) for i in running]
    else:
        outdated = [i for i in running if _is_declared(i, change.spec) and i.service not in found.restarted]
        told = [f"{i.service} runs with an earlier configuration" for i in outdated]
        told += stay_up(change.spec, picture, touched)
        told += [f"{name} is restarted for its limits: {why}" for name, why in held.refused.items()]
    told += [
        f"{i.spec.ref} goes on, and is no service any more"
        for i in picture.values()
        if i.spec.is_foreign and i.state in ALIVE and not _is_declared(i, change.spec)
    ]
    services = {picture[name].service for name in held.limits}
    return [*change_lines(found, services), *dict.fromkeys(told)]


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


def to_start(spec: Spec, picture: Picture, change: Change, stops: Collection[str]) -> list[str]:
    """What a change starts: added services, added replicas of those that are up, and again what was stopped for it."""
    names = []
    for service in change.spec.services.values():
        is_up = any(i.service == service.name and i.goal is Goal.UP for i in picture.values())
        for name in service.instance_names():
            added = name not in picture and (is_up or service.name not in spec.services)
            if added or (name in stops and picture[name].goal is Goal.UP):
                names.append(name)
    return names
