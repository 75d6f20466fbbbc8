"""From a request to the plan: exactly what would run, and what else will be noticed. Pure.

- start: the services and what they depend on, by levels; what runs already is left alone and said. A one-shot service
  that has completed runs again only when it is named. A configuration that the request names is applied as by
  reload-config; one that was found changed on the disk holds for what is started, and what runs with another is named.
- stop: what is named and nothing else; dependents stay up, and the plan says so. Among what is stopped, dependents go
  first; with `force` nobody waits for anybody, and open operations are taken over.
- restart: stop and start; what is needed and missing is started before anything is stopped. `rolling` does one
  instance at a time and ends at the first failure. A completed one-shot service runs again only when it is named.
- reload-config: the difference of the two configurations is the plan; what it does not touch is not touched. What runs
  with an earlier configuration is restarted too, and what has a `reload_signal` and is not restarted gets that.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from bhtui.core import graph
from bhtui.core.diff import SpecDiff, diff, fingerprint
from bhtui.core.errors import NotFound
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.request import LifeRequest, ReloadConfigRequest, RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, ServiceSpec, Spec
from bhtui.core.states import Goal, State

from .gates import WORDS, Picture, reached
from .machine import Instance
from .titles import change_lines, reload_title, start_title, stop_title

COMPLETION_TIMEOUT = 86400.0
"""Seconds that a one-shot service may take when others wait for its completion."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another configuration, and the texts to apply it and to take it back."""

    spec: Spec
    yaml: str
    path: str
    old_yaml: str = ""
    old_path: str = ""


def plan(spec: Spec, picture: Picture, request: LifeRequest, change: Change | None = None) -> Plan:
    """The plan of a request. `change` is the configuration it brings. Raises NotFound for unknown names."""
    match request:
        case StartRequest():
            return _plan_start(spec, picture, request, change)
        case StopRequest():
            return _plan_stop(spec, picture, request)
        case RestartRequest():
            return _plan_restart(spec, picture, request)
        case ReloadConfigRequest():
            assert change is not None, "a reload brings a configuration"
            return _plan_reload(spec, picture, change)


class _Builder:
    """Collects the steps of one plan. `services` are those that hold when the steps run."""

    def __init__(self, services: Mapping[str, ServiceSpec], picture: Picture) -> None:
        self.services, self.picture = services, picture
        self.steps: list[PlannedStep] = []
        self.stops: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.waits: dict[tuple[str, Condition], int] = {}
        self.before_stop: dict[str, list[int]] = {}
        """The steps after which what an instance needs is there, when it is to be restarted."""
        self.running: list[str] = []
        self.after_all: tuple[int, ...] = ()

    def add(
        self, kind: str, target: str, title: str, args: Mapping[str, Any], after: Iterable[int], timeout: float
    ) -> int:
        self.steps.append(PlannedStep(kind, target, title, dict(args), tuple(sorted(set(after))), timeout))
        return len(self.steps) - 1

    def stop(
        self, names: Iterable[str], timeout: float | None = None, ordered: bool = True, restore: bool = False
    ) -> None:
        """Stops instances, dependents first; those that are started again only when what they need is there."""
        needs = _needs({**{i.service: i.spec for i in self.picture.values()}, **self.services})
        for level in reversed(graph.levels(needs)):
            for name in [n for n in names if self.picture[n].service in level]:
                i = self.picture[name]
                first = [x for n, x in self.stops.items() if i.service in self.picture[n].spec.depends_on]
                grace = i.spec.stop.grace if timeout is None else timeout
                args = {"grace": timeout, "restore": restore and i.goal is Goal.UP}
                title = stop_title(name, i.spec, timeout)
                after = [*(first if ordered else ()), *self.before_stop.get(name, ())]
                self.stops[name] = self.add("service.stop", name, title, args, after, grace + 20)

    def start_missing(self, names: Sequence[str]) -> None:
        """Starts what instances that are to be restarted need and is not there, before any of them is stopped."""
        services = {_service_of(n, self.services) for n in names}
        self._start_closed(set(), services, {})
        for name in names:
            needs = self.services[_service_of(name, self.services)].depends_on
            self.before_stop[name] = [
                step
                for service, condition in needs.items()
                if service in self.services and service not in services
                for need in self.services[service].instance_names()
                for step in self._gate(need, condition)
            ]

    def start(self, names: Iterable[str], environment: Mapping[str, str]) -> None:
        """Starts instances and whatever they need that is not there, by levels."""
        wanted = set(names)
        self._start_closed(wanted, {_service_of(n, self.services) for n in wanted}, environment)

    def _start_closed(self, wanted: Set[str], services: Set[str], environment: Mapping[str, str]) -> None:
        closed = graph.closure(_needs(self.services), services)
        for level in graph.levels(_needs({s: spec for s, spec in self.services.items() if s in closed})):
            for service in level:
                for name in self.services[service].instance_names():
                    if name in self.starts:
                        continue
                    if name in wanted or (service not in services and self.is_down(name)):
                        self._start_one(name, self.services[service], environment)
                    elif service not in services or not self.is_down(name):
                        self.running.append(name)

    def is_down(self, name: str) -> bool:
        """Whether it neither runs nor has completed, once the steps so far are done."""
        i = self.picture.get(name)
        return i is None or name in self.stops or not (i.state is State.RUNNING or i.completed)

    def _start_one(self, name: str, spec: ServiceSpec, environment: Mapping[str, str]) -> None:
        after = [*self.after_all, *([self.stops[name]] if name in self.stops else [])]
        for service, condition in spec.depends_on.items():
            for need in self.services[service].instance_names() if service in self.services else ():
                after += self._gate(need, condition)
        self.start_step(name, spec, environment, after)

    def start_step(self, name: str, spec: ServiceSpec, environment: Mapping[str, str], after: Iterable[int]) -> int:
        # The machine knows the time-out; the step's own is for a machine that cannot say.
        patience = spec.probe.ready_timeout + spec.stop.grace + 30
        args = {"environment": dict(environment)} if environment else {}
        self.starts[name] = self.add("service.start", name, start_title(name, spec), args, after, patience)
        return self.starts[name]

    def _gate(self, name: str, condition: Condition) -> list[int]:
        """The steps after which `name` is as a dependent needs it. A start step ends when its instance is healthy."""
        started = [self.starts[name]] if name in self.starts else []
        i = self.picture.get(name)
        if condition is Condition.COMPLETED if started else (i is not None and not reached(i, condition)):
            return [self._wait(name, condition, started)]
        return started

    def _wait(self, name: str, condition: Condition, after: Sequence[int]) -> int:
        key = (name, condition)
        if key not in self.waits:
            word = WORDS[condition]
            spec = self.services[_service_of(name, self.services)]
            patience = COMPLETION_TIMEOUT if condition is Condition.COMPLETED else spec.probe.ready_timeout
            args = {"condition": str(condition)}
            self.waits[key] = self.add("service.wait", name, f"wait until {name} is {word}", args, after, patience)
        return self.waits[key]

    def build(self, kind: str, targets: Sequence[str], effects: Iterable[str], **options: Any) -> Plan:
        claims = {f"service:{self._service(step.target)}" for step in self.steps if step.kind != "spec.apply"}
        claims |= {"config" for step in self.steps if step.kind == "spec.apply"}
        return Plan(kind, tuple(targets), tuple(self.steps), tuple(effects), frozenset(claims), **options)

    def _service(self, name: str) -> str:
        return self.picture[name].service if name in self.picture else _service_of(name, self.services)


def _plan_start(spec: Spec, picture: Picture, request: StartRequest, change: Change | None) -> Plan:
    new = change.spec if change else spec
    b, told = _with_change(spec, picture, change or Change(spec, "", ""), leave=not request.brings_config)
    chosen = _resolve(request.services, new.services, {})
    names = [n for n in chosen if b.is_down(n) or (request.services and _has_completed(picture, n))]
    more = _to_start(spec, picture, change, b.stops) if change and request.brings_config else []
    b.start([*names, *more], run_environment(request))
    effects = [*told, *_already("running", [*b.running, *(n for n in chosen if n not in names)])]
    effects += without_instances(request.services, new.services, picture)
    return b.build("start", request.services or tuple(new.services), effects, undo_on_failure=True)


def run_environment(request: StartRequest) -> dict[str, str]:
    """What `--debug` and `--enable-pprof` add to the environment of this run."""
    debug = {"BLACKHOLE_DEBUG": "1", "LOG_LEVEL": "debug"} if request.debug else {}
    return debug | ({"BLACKHOLE_PPROF": "1"} if request.enable_pprof else {})


def _plan_stop(spec: Spec, picture: Picture, request: StopRequest) -> Plan:
    chosen = _resolve(request.services, spec.services, picture)
    names = [n for n in chosen if n in picture and picture[n].state is not State.STOPPED]
    b = _Builder(spec.services, picture)
    if request.emergency:
        for name in names:
            b.add("service.kill", name, f"kill every process of {name} at once", {}, (), 20.0)
    else:
        b.stop(names, request.timeout, ordered=not request.force)
    effects = [*_stay_up(spec, picture, names), *_already("stopped", [n for n in chosen if n not in names])]
    effects += without_instances(request.services, spec.services, picture)
    made = b.build("stop", _targets(request.services, picture), effects, preempts=request.force or request.emergency)
    # Also of what is down: a start of it may have been begun and not got so far.
    return replace(made, claims=frozenset(f"service:{picture[n].service}" for n in chosen if n in picture))


def _plan_restart(spec: Spec, picture: Picture, request: RestartRequest) -> Plan:
    chosen = [n for n in _resolve(request.services, spec.services, picture) if n not in picture or picture[n].declared]
    names = [n for n in chosen if request.services or (n in picture and _is_kept_up(picture[n]))]
    down = [n for n in names if n not in picture or picture[n].state is State.STOPPED]
    b = _Builder(spec.services, picture)
    b.start_missing(names)
    if request.rolling:
        _roll(b, names, down)
    else:
        b.stop([n for n in names if n not in down], ordered=not request.force)
        b.start(names, {})
    effects = _stay_up(spec, picture, names)
    done = [n for n in chosen if n not in names and _has_completed(picture, n)]
    left = [n for n in chosen if n not in names and n not in done]
    effects += [f"completed, and run again only when named: {', '.join(done)}"] if done else []
    effects += [f"stopped and left so: {', '.join(left)}"] if left else []
    effects += without_instances(request.services, spec.services, picture)
    return b.build("restart", _targets(request.services, picture), effects, preempts=request.force)


def _roll(b: _Builder, names: Sequence[str], down: Sequence[str]) -> None:
    """One instance at a time, dependencies first; each step after the one before, the first after what is missing."""
    chain = tuple(range(len(b.steps)))
    for level in graph.levels(_needs(b.services)):
        for name in [n for n in names if _service_of(n, b.services) in level]:
            spec = b.services[_service_of(name, b.services)]
            if name not in down:
                stop = b.picture[name].spec
                chain = (b.add("service.stop", name, stop_title(name, stop, None), {}, chain, stop.stop.grace + 20),)
            chain = (b.start_step(name, spec, {}, chain),)


def _plan_reload(spec: Spec, picture: Picture, change: Change) -> Plan:
    b, told = _with_change(spec, picture, change)
    b.start(_to_start(spec, picture, change, b.stops), {})
    for service in change.spec.services.values():
        for name in service.instance_names() if service.reload_signal else ():
            if name not in b.stops and name in picture and picture[name].state is State.RUNNING:
                args = {"signal": service.reload_signal}
                b.add("service.reload", name, reload_title(name, service), args, b.after_all, 20.0)
    same = [] if b.steps or told else ["the configuration is the one in force"]
    return b.build("reload-config", tuple(change.spec.services), [*told, *same], undo_on_failure=True)


def _with_change(spec: Spec, picture: Picture, change: Change, leave: bool = False) -> tuple[_Builder, list[str]]:
    """A builder whose first steps stop what the change touches and apply it, and what is to be said about that.

    `leave`: what runs is not stopped.
    """
    found = diff(spec, change.spec)
    touched = [n for n, i in picture.items() if i.state is not State.STOPPED and _is_touched(i, change.spec, found)]
    b = _Builder(spec.services, picture)
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
        told += _stay_up(change.spec, picture, touched)
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
    if not _is_declared(i, new):
        return i.service in new.services or i.service in found.removed
    if i.pid is not None and i.ran_as:
        return i.ran_as != fingerprint(new.services[i.service])
    return i.service in found.restarted


def _to_start(spec: Spec, picture: Picture, change: Change, stops: Mapping[str, int]) -> list[str]:
    """What a change starts: added services, added replicas of those that are up, and again what was stopped for it."""
    names = []
    for service in change.spec.services.values():
        is_up = any(i.service == service.name and i.goal is Goal.UP for i in picture.values())
        for name in service.instance_names():
            added = name not in picture and (is_up or service.name not in spec.services)
            if added or (name in stops and picture[name].goal is Goal.UP):
                names.append(name)
    return names


def _needs(services: Mapping[str, ServiceSpec]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(spec.depends_on) for name, spec in services.items()}


def _service_of(instance: str, services: Mapping[str, ServiceSpec]) -> str:
    """The service of an instance's name; services may have a dash in theirs."""
    service = instance.rpartition("-")[0]
    if service not in services:
        raise NotFound(unknown_service(instance, services))
    return service


def _resolve(names: Sequence[str], services: Mapping[str, ServiceSpec], picture: Picture) -> list[str]:
    """The instances of these services or of these names; none: all. Raises NotFound."""
    declared = [n for spec in services.values() for n in spec.instance_names()]
    everyone: dict[str, str] = {n: n.rpartition("-")[0] for n in declared} | {n: i.service for n, i in picture.items()}
    for name in names:
        if name not in everyone and name not in everyone.values() and name not in services:
            raise NotFound(unknown_service(name, services))
    return [n for n, service in everyone.items() if not names or n in names or service in names]


def without_instances(names: Sequence[str], services: Mapping[str, ServiceSpec], picture: Picture) -> list[str]:
    """`zero has no instances: its replicas are 0`, for each of these, or of all."""
    there = {i.service for i in picture.values()}
    return [
        f"{name} has no instances: its replicas are 0"
        for name in names or services
        if name in services and not services[name].replicas and name not in there
    ]


def unknown_service(name: str, services: Mapping[str, ServiceSpec]) -> str:
    """The error for a name that is neither a service nor an instance, with what is likely meant."""
    close = difflib.get_close_matches(name, services, 1)
    known = f"did you mean {close[0]}?" if close else "known are: " + (", ".join(services) or "none")
    return f"cannot find {name}: there is no such service; {known}"


def _targets(names: Sequence[str], picture: Picture) -> tuple[str, ...]:
    return tuple(names) or tuple(dict.fromkeys(i.service for i in picture.values()))


def _has_completed(picture: Picture, name: str) -> bool:
    return name in picture and picture[name].completed


def _is_kept_up(i: Instance) -> bool:
    return i.goal is Goal.UP and not i.completed


def _already(word: str, names: Sequence[str]) -> list[str]:
    return [f"already {word}: {', '.join(dict.fromkeys(names))}"] if names else []


def _stay_up(spec: Spec, picture: Picture, names: Iterable[str]) -> list[str]:
    """Who depends on what goes down, and stays up."""
    down = {picture[n].service for n in names if n in picture}
    up = {i.service for i in picture.values() if _counts_as_up(i)} - down
    effects = []
    for service in spec.services:
        missed = [need for need in spec.services[service].depends_on if need in down]
        if service in up and missed:
            effects.append(f"{service} depends on {' and '.join(missed)} and stays up")
    return effects


def _counts_as_up(i: Instance) -> bool:
    return i.state in (State.STARTING, State.RUNNING)
