"""Names of services and instances: which instances are meant, and what is said of those that are not there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bhtui.core.errors import no_such_service
from bhtui.core.spec import ServiceSpec

from .gates import Picture


def needs_of(services: Mapping[str, ServiceSpec]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(spec.depends_on) for name, spec in services.items()}


def service_of(instance: str, services: Mapping[str, ServiceSpec]) -> str:
    """The service of an instance's name; services may have a dash in theirs."""
    service = instance.rpartition("-")[0]
    if service not in services:
        raise no_such_service(instance, services)
    return service


def resolve(names: Sequence[str], services: Mapping[str, ServiceSpec], picture: Picture) -> list[str]:
    """The instances of these services or of these names; none: all. Raises NotFound."""
    declared = [n for spec in services.values() for n in spec.instance_names()]
    everyone: dict[str, str] = {n: n.rpartition("-")[0] for n in declared} | {n: i.service for n, i in picture.items()}
    for name in names:
        if name not in everyone and name not in everyone.values() and name not in services:
            raise no_such_service(name, services)
    return [n for n, service in everyone.items() if not names or n in names or service in names]


def targets(names: Sequence[str], picture: Picture) -> tuple[str, ...]:
    return tuple(names) or tuple(dict.fromkeys(i.service for i in picture.values()))


def without_instances(names: Sequence[str], services: Mapping[str, ServiceSpec], picture: Picture) -> list[str]:
    """`zero has no instances: its replicas are 0`, for each of these, or of all."""
    there = {i.service for i in picture.values()}
    return [
        f"{name} has no instances: its replicas are 0"
        for name in names or services
        if name in services and not services[name].replicas and name not in there
    ]
