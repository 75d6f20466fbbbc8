"""Collects the steps of one plan, each after what it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from bhtui.core import codec, graph
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.replica import instance_spec, number_of
from bhtui.core.spec import Condition, LimitsSpec, ServiceSpec
from bhtui.core.states import Goal, State

from .gates import WORDS, Picture, reached
from .naming import needs_of, service_of
from .titles import drain_title, hold_title, reload_title, start_title, stop_title, tell_title

APPLY, SWITCH = CONFIG_STEPS = ("spec.apply", "spec.switch")
"""Put a configuration in force: for all at once; for those that are to be restarted when their turn comes."""
HOLD = "service.hold"
"""Gives what runs other limits."""
COMPLETION_TIMEOUT = 86400.0
"""Seconds that a one-shot service may take when others wait for its completion."""
MANAGER_PATIENCE = 90.0
"""Seconds that a manager takes for a start or a stop before it gives up: systemd's own default."""


def stop_patience(spec: ServiceSpec, timeout: float | None) -> float:
    """Seconds after which a stop with this time-out (None: as declared) has failed."""
    declared = MANAGER_PATIENCE if spec.is_foreign else spec.stop.grace
    return (declared if timeout is None else timeout) + 20


RELOAD_PATIENCE = 40.0
"""Seconds that a service may take to read its own configuration."""


class Builder:
    """Collects the steps of one plan. `services` are those that hold when the steps run."""

    def __init__(self, services: Mapping[str, ServiceSpec], picture: Picture) -> None:
        self.services, self.picture = services, picture
        self.steps: list[PlannedStep] = []
        self.stops: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.waits: dict[tuple[str, Condition], int] = {}
        self.before_stop: dict[str, list[int]] = {}
        """The steps after which an instance may be stopped: what it needs is there, others know that it goes."""
        self.running: list[str] = []
        self.again: set[str] = set()
        """Units and containers that are restarted in one step: a stop of its own would take down what hangs on them."""
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
        needs = needs_of({**{i.service: i.spec for i in self.picture.values()}, **self.services})
        for level in reversed(graph.levels(needs)):
            for name in [n for n in names if self.picture[n].service in level]:
                service = self.picture[name].service
                first = [x for n, x in self.stops.items() if service in self.picture[n].spec.depends_on]
                after = [*(first if ordered else ()), *self.before_stop.get(name, ())]
                self.stop_step(name, after, timeout, restore)

    def stop_step(self, name: str, after: Iterable[int], timeout: float | None = None, restore: bool = False) -> int:
        """`restore`: undone, it is started again if it is to be up now; that takes its time to become ready too."""
        i = self.picture[name]
        back = restore and i.goal is Goal.UP
        args = {"grace": timeout, "restore": back}
        title, patience = stop_title(name, i.spec, timeout), stop_patience(i.spec, timeout)
        patience += i.spec.probe.ready_timeout if back else 0.0
        self.stops[name] = self.add("service.stop", name, title, args, after, patience)
        return self.stops[name]

    def drain(self, name: str, after: Iterable[int] = ()) -> tuple[int, ...]:
        """Takes an instance out of the endpoints before it is stopped; no step: it is reached at no port."""
        i = self.picture[name]
        if not i.spec.ports or i.pid is None:
            return ()
        # The command may be under way for another reason, and fail once.
        patience = i.spec.endpoints.drain + 3 * i.spec.endpoints.timeout + 10
        return (self.add("endpoints.drain", name, drain_title(name, i.spec), {}, after, patience),)

    def tell(self, spec: ServiceSpec, after: Iterable[int]) -> None:
        """Waits until others know of the instances that came up."""
        if spec.ports and spec.endpoints.on_change:
            patience = 3 * spec.endpoints.timeout + 10
            self.add("endpoints.tell", spec.name, tell_title(spec.name), {}, after, patience)

    def stop_again(self, names: Iterable[str], ordered: bool = True) -> None:
        """As `stop`, of what is started again in the same plan."""
        names = tuple(names)
        self.again = {n for n in names if self.picture[n].spec.is_foreign}
        self.stop([n for n in names if n not in self.again], ordered=ordered)

    def start_missing(self, names: Sequence[str]) -> None:
        """Starts what instances that are to be restarted need and is not there, before any of them is stopped."""
        services = {service_of(n, self.services) for n in names}
        self._start_closed(set(), services, {})
        for name in names:
            self.before_stop[name] = self.gates(name, besides=services)

    def start(self, names: Iterable[str], environment: Mapping[str, str]) -> None:
        """Starts instances and whatever they need that is not there, by levels."""
        wanted = set(names)
        self._start_closed(wanted, {service_of(n, self.services) for n in wanted}, environment)

    def _start_closed(self, wanted: Set[str], services: Set[str], environment: Mapping[str, str]) -> None:
        closed = graph.closure(needs_of(self.services), services)
        for level in graph.levels(needs_of({s: spec for s, spec in self.services.items() if s in closed})):
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
        return i is None or name in self.stops or name in self.again or not (i.state is State.RUNNING or i.completed)

    def _start_one(self, name: str, spec: ServiceSpec, environment: Mapping[str, str]) -> None:
        after = [*self.after_all, *([self.stops[name]] if name in self.stops else [])]
        self.start_step(name, spec, environment, [*after, *self.gates(name)])

    def start_step(self, name: str, spec: ServiceSpec, environment: Mapping[str, str], after: Iterable[int]) -> int:
        spec = instance_spec(spec, number_of(name))
        # The machine knows the time-out; the step's own is for a machine that cannot say.
        patience = spec.probe.ready_timeout + stop_patience(spec, None) + 10
        args: dict[str, Any] = {"environment": dict(environment)} if environment else {}
        title = start_title(name, spec)
        if name in self.again:
            args["again"], title = True, title.replace("start ", "restart ", 1)
            after = [*after, *(x for n, x in self.stops.items() if spec.name in self.picture[n].spec.depends_on)]
        self.starts[name] = self.add("service.start", name, title, args, after, patience)
        return self.starts[name]

    def reload_step(self, name: str, spec: ServiceSpec, after: Iterable[int]) -> int:
        args = {"signal": spec.reload_signal} if spec.reload_signal else {"contract": spec.contract}
        return self.add("service.reload", name, reload_title(name, spec), args, after, RELOAD_PATIENCE)

    def hold_step(self, name: str, limits: LimitsSpec, after: Iterable[int]) -> int:
        """Holds what runs to other limits; undone, to those from before."""
        before = self.picture[name].spec.limits
        args = {"limits": codec.encode(limits), "before": codec.encode(before)}
        return self.add(HOLD, name, hold_title(name, before, limits), args, after, 30.0)

    def spec_of(self, name: str) -> ServiceSpec:
        """The declared service of an instance's name. Raises NotFound."""
        return self.services[service_of(name, self.services)]

    def gates(self, name: str, besides: Set[str] = frozenset()) -> list[int]:
        """The steps after which all that `name` needs is there, but for what it needs of the services `besides`."""
        return [
            step
            for service, condition in self.spec_of(name).depends_on.items()
            if service in self.services and service not in besides
            for need in self.services[service].instance_names()
            for step in self._gate(need, condition)
        ]

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
            spec = self.services[service_of(name, self.services)]
            patience = COMPLETION_TIMEOUT if condition is Condition.COMPLETED else spec.probe.ready_timeout
            args = {"condition": str(condition)}
            self.waits[key] = self.add("service.wait", name, f"wait until {name} is {word}", args, after, patience)
        return self.waits[key]

    def build(self, kind: str, targets: Sequence[str], effects: Iterable[str], **options: Any) -> Plan:
        claims = {f"service:{self._service(step.target)}" for step in self.steps if step.kind not in CONFIG_STEPS}
        claims |= {"config" for step in self.steps if step.kind in CONFIG_STEPS}
        return Plan(kind, tuple(targets), tuple(self.steps), tuple(effects), frozenset(claims), **options)

    def _service(self, name: str) -> str:
        if name in self.services:
            return name
        return self.picture[name].service if name in self.picture else service_of(name, self.services)
