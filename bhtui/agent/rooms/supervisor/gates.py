"""Whether what an instance depends on is there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bhtui.core.spec import Condition, ServiceSpec
from bhtui.core.states import Health, State

from .instance import Instance

Picture = Mapping[str, Instance]
"""Every instance by name."""

WELL = (Health.HEALTHY, Health.DEGRADED)


def is_well(i: Instance) -> bool:
    """Whether it does its work now."""
    return i.state is State.RUNNING and i.health in WELL


_REACHED: dict[Condition, Callable[[Instance], bool]] = {
    Condition.STARTED: lambda i: (
        i.completed or i.state is State.RUNNING or (i.state is State.STARTING and i.pid is not None)
    ),
    Condition.HEALTHY: lambda i: i.completed or (i.state is State.RUNNING and i.health in WELL),
    Condition.COMPLETED: lambda i: i.completed,
}
WORDS = {Condition.STARTED: "started", Condition.HEALTHY: "healthy", Condition.COMPLETED: "completed"}


def reached(instance: Instance, condition: Condition) -> bool:
    """Whether the instance is as its dependents need it."""
    return _REACHED[condition](instance)


def missing_for_start(spec: ServiceSpec, services: Mapping[str, ServiceSpec], picture: Picture) -> str:
    """What a start has to wait for, `db-1 healthy (it is starting)`, or empty."""
    return _missing(spec, services, picture, _REACHED)


def missing_for_restart(spec: ServiceSpec, services: Mapping[str, ServiceSpec], picture: Picture) -> str:
    """What an automatic restart has to wait for: a dependency that is down, not one that is unwell."""
    alive = _REACHED[Condition.STARTED]
    return _missing(spec, services, picture, dict.fromkeys(Condition, alive))


def _missing(
    spec: ServiceSpec,
    services: Mapping[str, ServiceSpec],
    picture: Picture,
    test: Mapping[Condition, Callable[[Instance], bool]],
) -> str:
    absent = []
    for service, condition in spec.depends_on.items():
        for name in services[service].instance_names() if service in services else ():
            instance = picture.get(name)
            if instance is None or not test[condition](instance):
                state = str(instance.state) if instance else "not there"
                absent.append(f"{name} {WORDS[condition]} (it is {state})")
    return ", ".join(absent)
