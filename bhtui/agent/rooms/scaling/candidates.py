"""Which services can have another number of instances, and what of them can be looked at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bhtui.core.autoscale import AutoScaleSpec
from bhtui.core.spec import Condition, Restart, ServiceSpec


def obstacle(service: ServiceSpec, services: Mapping[str, ServiceSpec]) -> str:
    """Why its number cannot follow its load, in words; empty: it can."""
    if service.is_foreign:
        return f"there is one {service.ref}"
    if not service.replicas:
        return "it has no instances: its replicas are 0"
    if service.restart.policy is Restart.NO:
        return "it runs once (restart: no)"
    for other in services.values():
        if other.depends_on.get(service.name) is Condition.COMPLETED:
            return f"{other.name} waits for it to complete"
    return ""


def looked_at(spec: AutoScaleSpec, service: ServiceSpec) -> AutoScaleSpec:
    """Without the share of memory where there is no limit that it could be a share of. `service` has its limits."""
    return replace(spec, memory=None) if service.limits.memory is None else spec
