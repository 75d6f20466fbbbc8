"""From a request about resources to its plan. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bhtui.core.errors import Refused, UsageError, no_such_service
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.override import LIMITS, PRIORITIES, Override, to_args
from bhtui.core.replica import instances
from bhtui.core.request import (
    ClearCacheRequest,
    CollectGarbageRequest,
    ResetLimitsRequest,
    ResourceRequest,
    SetLimitsRequest,
    SetPriorityRequest,
)
from bhtui.core.spec import ServiceSpec
from bhtui.core.units import format_size

LEAST_MEMORY = 1 << 20
LIFTED = "none"
"""In a step, instead of a value: the limit does not hold. A value of None takes back what was set."""
IONICE = re.compile(r"idle|(best-effort|realtime):[0-7]")
CLEAR, COLLECT = "service.clear-cache", "service.collect-garbage"
_SAID = {CLEAR: "clear the caches of", COLLECT: "collect the garbage of"}
Values = Mapping[str, Any]


def plan(
    services: Mapping[str, ServiceSpec],
    request: ResourceRequest,
    overrides: Callable[[str], Mapping[str, Override]],
    in_use: Mapping[str, int],
    not_held: Callable[[str], str],
) -> Plan:
    """The plan of a request. Raises NotFound, UsageError, Refused.

    `in_use` has the bytes of memory that each running instance uses; `not_held` says of a limit what of it this host
    cannot hold.
    """
    match request:
        case SetLimitsRequest():
            values = _values(request, LIMITS, f"limit {request.service}")
            _check(request, values)
            service = _declared(services, request.service)
            _refuse_less_than_used(service, request.memory, in_use)
            # What its manager cannot hold it says when it is asked.
            known = () if service.is_foreign else [name for name in values if name not in request.lift]
            effects = [f"{name}: not held here: {why}" for name in known if (why := not_held(name))]
            steps = [_set("limits.set", service, values, overrides(service.name))]
            return _override_plan("set-limit", service.name, steps, effects)
        case SetPriorityRequest():
            values = _values(request, PRIORITIES, f"set the priority of {request.service}")
            if not values:
                raise UsageError(f"cannot set the priority of {request.service}: give nice, ionice or both")
            _check_priority(request)
            service = _declared(services, request.service)
            steps = [_set("priority.set", service, values, overrides(service.name))]
            return _override_plan("set-priority", service.name, steps, ())
        case ResetLimitsRequest():
            return _plan_reset(_declared(services, request.service), overrides(request.service))
        case ClearCacheRequest():
            return _plan_contract("clear-cache", services, request.services, (CLEAR,))
        case CollectGarbageRequest():
            return _plan_contract("gc", services, request.services, (CLEAR, COLLECT) if request.force else (COLLECT,))


def _values(request: SetLimitsRequest | SetPriorityRequest, names: Sequence[str], what: str) -> dict[str, Any]:
    values = {name: value for name in names if (value := getattr(request, name)) is not None}
    for name in request.lift:
        if name not in names:
            raise UsageError(f"cannot {what}: there is no {name!r} to lift; known are {', '.join(names)}")
        if name in values:
            raise UsageError(f"cannot {what}: {name} is both set and lifted; choose one")
    return values | dict.fromkeys(request.lift, LIFTED)


def _check(request: SetLimitsRequest, values: Values) -> None:
    least = {"memory": LEAST_MEMORY, "cpu": 0.01}
    if not values:
        raise UsageError(f"cannot limit {request.service}: name at least one limit: {', '.join(LIMITS)}")
    for name, value in values.items():
        if value != LIFTED and value < least.get(name, 1):
            shown = format_size(LEAST_MEMORY) if name == "memory" else f"{least.get(name, 1):g}"
            raise UsageError(f"cannot limit {request.service}: {name} must be at least {shown}")


def _check_priority(request: SetPriorityRequest) -> None:
    if request.nice is not None and not -20 <= request.nice <= 19:
        raise UsageError(f"cannot set the priority of {request.service}: nice must be between -20 and 19")
    if request.ionice is not None and not IONICE.fullmatch(request.ionice):
        raise UsageError(
            f"cannot set the priority of {request.service}: {request.ionice!r} is not idle, best-effort:0-7 or "
            "realtime:0-7"
        )


def _declared(services: Mapping[str, ServiceSpec], name: str) -> ServiceSpec:
    if name not in services:
        raise no_such_service(name, services)
    return services[name]


def _refuse_less_than_used(service: ServiceSpec, memory: int | None, in_use: Mapping[str, int]) -> None:
    """The kernel would refuse it (v1) or end processes at once (v2)."""
    for instance in service.instance_names():
        if memory is not None and in_use.get(instance, 0) >= memory:
            raise Refused(
                f"cannot limit {service.name} to {format_size(memory)}: {instance} uses "
                f"{format_size(in_use[instance])} now; clear its caches, stop it, or allow it more"
            )


def _plan_reset(service: ServiceSpec, overrides: Mapping[str, Override]) -> Plan:
    steps = []
    for kind, names in (("limits.set", LIMITS), ("priority.set", PRIORITIES)):
        if values := dict.fromkeys(name for name in names if name in overrides):
            steps.append(_set(kind, service, values, overrides))
    effects = () if steps else (f"the limits of {service.name} are as declared",)
    return _override_plan("reset-limit", service.name, steps, effects)


def _set(kind: str, service: ServiceSpec, values: Values, overrides: Mapping[str, Override]) -> PlannedStep:
    """A value of None takes the override away."""
    said = ", ".join(f"{name} {value_text(name, value, service)}" for name, value in values.items())
    before = {name: to_args(overrides.get(name)) for name in values}
    args = {"values": dict(values), "before": before}
    return PlannedStep(kind, service.name, f"hold {service.name}: {said}", args, timeout=30.0)


def value_text(name: str, value: Any, service: ServiceSpec) -> str:
    """A limit for people."""
    if value == LIFTED:
        return LIFTED
    if value is None:
        declared = getattr(service.limits, name)
        return "as declared, " + ("none" if declared is None else value_text(name, declared, service))
    if name in ("memory", "bandwidth"):
        return format_size(value) + ("/s" if name == "bandwidth" else "")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _override_plan(kind: str, service: str, steps: Sequence[PlannedStep], effects: Sequence[str]) -> Plan:
    claims = frozenset({f"limits:{service}"})
    return Plan(kind, (service,), tuple(steps), tuple(effects), claims, undo_on_failure=True)


def _plan_contract(kind: str, services: Mapping[str, ServiceSpec], names: Sequence[str], kinds: Sequence[str]) -> Plan:
    if not names:
        raise UsageError(f"cannot do {kind}: name a service with --service")
    steps: list[PlannedStep] = []
    for service in [_declared(services, name) for name in dict.fromkeys(names)]:
        if not service.contract:
            raise Refused(
                f"cannot {_SAID[kinds[-1]]} {service.name}: it has no contract, so nobody can ask it; "
                "write contract: HOST:PORT if it speaks blackhole.service.v1"
            )
        for who, contract in _contracts(service):
            for number, step in enumerate(kinds):
                after = (len(steps) - 1,) if number else ()
                title = f"{_SAID[step]} {who}: by its contract at {contract}"
                steps.append(PlannedStep(step, who, title, {"contract": contract}, after, 60.0))
    claims = frozenset(f"contract:{name}" for name in names)
    return Plan(kind, tuple(dict.fromkeys(names)), tuple(steps), (), claims)


def _contracts(service: ServiceSpec) -> list[tuple[str, str]]:
    """Whom to ask where: the service where its instances share one address, else each instance."""
    each = [(name, spec.contract) for name, spec in instances(service).items()]
    return (
        each if len({contract for _, contract in each}) > 1 else [(service.name, contract) for _, contract in each[:1]]
    )
