"""From a request about scaling by load to its plan. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bhtui.core.autoscale import SETTABLE, AutoScaleSpec, fault, in_force
from bhtui.core.errors import Refused, UsageError, no_such_service
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.override import Override, to_args
from bhtui.core.request import AutoScaleRequest, ScaleRequest
from bhtui.core.spec import ServiceSpec

from .candidates import looked_at, obstacle

SET = "scaling.set"
Origins = Callable[[str], Mapping[str, Override]]


@dataclass(frozen=True, slots=True)
class Known:
    """What a plan is made from."""

    services: Mapping[str, ServiceSpec]
    """As declared, with the numbers and limits that hold."""
    overrides: Origins
    """What was set of scaling at run time, by service."""
    cannot_have: Callable[[str, int], str]
    """Why a service cannot have that many instances, in words; empty: it can."""

    def spec(self, name: str) -> AutoScaleSpec:
        """What holds of a service."""
        return in_force(self.services[name].scale, {key: each.value for key, each in self.overrides(name).items()})


def plan(known: Known, request: AutoScaleRequest) -> Plan:
    """The plan of a request. Raises NotFound, UsageError, Refused."""
    for name in request.services:
        if name not in known.services:
            raise no_such_service(name, known.services)
    return _plan_on(known, request) if request.auto else _plan_off(known, request)


# ---- on --------------------------------------------------------------------------------------------------------------


def _plan_on(known: Known, request: AutoScaleRequest) -> Plan:
    names = tuple(dict.fromkeys(request.services)) or tuple(known.services)
    steps: list[PlannedStep] = []
    effects: list[str] = []
    left_out: dict[str, list[str]] = {}
    """Why, and who."""
    for name in names:
        if why := _why_not(known, name, request):
            if request.services:
                raise Refused(f"cannot scale {name} by its load: {why}")
            left_out.setdefault(why, []).append(name)
            continue
        values = _given(known, name, request)
        if values:
            steps.append(_step(known, name, values, f"let {name} have {_said(known, name, request)}"))
            effects += _effects(known, name, request)
        else:
            effects.append(f"{name} does so already: it has {_said(known, name, request)}")
    told = [f"{', '.join(those)}: {why}" for why, those in left_out.items()]
    if not names:
        raise Refused("cannot scale by load: no services are declared here")
    if not steps and not effects:
        raise Refused("\n  ".join(["cannot scale by load: no service here can follow it", *told]))
    return _made(names, steps, [*effects, *(f"left out, {each}" for each in told)])


def _given(known: Known, name: str, request: AutoScaleRequest) -> dict[str, Any]:
    """The values that would be others than those that hold."""
    now = known.spec(name)
    asked = {
        "auto": True, "min": request.min, "max": request.max, "cpu": request.cpu_threshold,
        "memory": request.memory_threshold,
    }  # fmt: skip
    return {key: value for key, value in asked.items() if value is not None and value != (getattr(now, key) or 0)}


def _wanted(known: Known, name: str, request: AutoScaleRequest) -> AutoScaleSpec:
    return in_force(known.spec(name), _given(known, name, request))


def _why_not(known: Known, name: str, request: AutoScaleRequest) -> str:
    service, wanted = known.services[name], _wanted(known, name, request)
    if wrong := fault(wanted):
        raise UsageError(f"cannot scale {name} by its load: {wrong}")
    if why := obstacle(service, known.services):
        return why
    seen = looked_at(wanted, service)
    if seen.cpu is None and seen.memory is None:
        return "it has no memory limit, and CPU is not to be looked at; give a --cpu-threshold, or limit its memory"
    return known.cannot_have(name, wanted.max)


def _said(known: Known, name: str, request: AutoScaleRequest) -> str:
    service, wanted = known.services[name], _wanted(known, name, request)
    wanted = looked_at(wanted, service)
    of = "its limit" if service.limits.cpu else "one core"
    marks = [f"cpu {wanted.cpu:g} % of {of}"] if wanted.cpu else []
    marks += [f"memory {wanted.memory:g} % of its limit"] if wanted.memory else []
    return f"{_range(wanted)}: more above {' or '.join(marks)}"


def _range(spec: AutoScaleSpec) -> str:
    if spec.min == spec.max:
        return "1 instance" if spec.max == 1 else f"{spec.max} instances"
    return f"{spec.min} to {spec.max} instances"


def _effects(known: Known, name: str, request: AutoScaleRequest) -> list[str]:
    service, wanted = known.services[name], _wanted(known, name, request)
    told = []
    if wanted.memory is not None and service.limits.memory is None:
        told.append(f"the memory of {name} is not looked at: it has no limit that it could be a share of")
    elif wanted.memory is not None:
        told.append(f"memory asks for one instance at a time, and for no more when another did not lower it in {name}")
    if service.replicas != wanted.clamp(service.replicas):
        told.append(f"{name} has {service.replicas} now, and is given {wanted.clamp(service.replicas)} at once")
    return told


# ---- off -------------------------------------------------------------------------------------------------------------


def _plan_off(known: Known, request: AutoScaleRequest) -> Plan:
    if any(each is not None for each in (request.min, request.max, request.cpu_threshold, request.memory_threshold)):
        raise UsageError("cannot end scaling by load and give it bounds or thresholds; leave one of them out")
    names = tuple(dict.fromkeys(request.services)) or tuple(n for n in known.services if known.spec(n).auto)
    steps: list[PlannedStep] = []
    effects = [] if names else ["no service is scaled by its load"]
    for name in names:
        if not known.spec(name).auto:
            effects.append(f"{name} is not scaled by its load")
            continue
        steps.append(_step(known, name, _off(known, name), f"let {name} follow its load no more"))
        now = known.services[name].replicas
        effects.append(f"{name} stays at {now}; `blackhole scale {name} --replicas N` sets another number")
    return _made(names, steps, effects)


def _off(known: Known, name: str) -> dict[str, Any]:
    """Everything that was set is taken back; where it is declared, that is overridden."""
    changes: dict[str, Any] = {key: None for key in SETTABLE if key in known.overrides(name)}
    return changes | ({"auto": False} if known.services[name].scale.auto else {})


def with_number_by_hand(known: Known, request: ScaleRequest, made: Plan) -> Plan:
    """The plan of a number that a person sets: from then on the load does not change it, and the plan says so.

    Back to what is declared means that of scaling too.
    """
    steps, effects, claims = list(made.steps), list(made.effects), set(made.claims)
    for name in dict.fromkeys(request.services):
        now = known.spec(name)
        changes = _off(known, name)
        if request.replicas is None:
            changes = {key: None for key in SETTABLE if key in known.overrides(name)}
        if not changes or not (now.auto or request.replicas is None):
            continue
        after = in_force(known.services[name].scale, {}) if request.replicas is None else replace(now, auto=False)
        said = (
            f"follow its load no more ({now.bounds})"
            if not after.auto
            else f"follow its load as declared: {_range(after)}"
        )
        steps.append(_step(known, name, changes, f"let {name} {said}"))
        if now.auto and not after.auto and request.replicas is not None:
            effects.append(
                f"{name} keeps that number whatever its load; `blackhole scale {name} --auto` follows it again"
            )
        claims.add(f"scaling:{name}")
    return replace(made, steps=tuple(steps), effects=tuple(effects), claims=frozenset(claims))


# ---- parts -----------------------------------------------------------------------------------------------------------


def _step(known: Known, name: str, values: Mapping[str, Any], title: str) -> PlannedStep:
    """A value of None takes the override away."""
    before = {key: to_args(known.overrides(name).get(key)) for key in values}
    return PlannedStep(SET, name, title, {"values": dict(values), "before": before}, timeout=30.0)


def _made(names: tuple[str, ...], steps: list[PlannedStep], effects: list[str]) -> Plan:
    claims = frozenset(f"scaling:{step.target}" for step in steps)
    targets = tuple(step.target for step in steps) or names
    return Plan("auto-scale", targets, tuple(steps), tuple(effects), claims, undo_on_failure=True)
