"""The plan of another number of instances. Pure.

More: the number is set first, then the new instances are started, each gated by its readiness; when one fails, what was
started is stopped and the number from before holds again. Fewer: those that go are taken out of the endpoints all at
once, then stopped one after the other, the highest number first, so that those that are left are always the first ones;
the number is set last. A service that is stopped stays so. What stays is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bhtui.core.errors import NotFound, Refused, UsageError, no_such_service
from bhtui.core.operation import Plan
from bhtui.core.override import Override, to_args
from bhtui.core.replica import MOST, Clash, clashes, instance_spec, number_of, with_replicas
from bhtui.core.request import ScaleRequest
from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.states import Goal, State

from .aside import stay_up
from .builder import Builder
from .gates import Picture, is_well

SHOWN = 4
"""Addresses and folders that an effect names one by one."""


def plan_scale(
    declared: Spec,
    spec: Spec,
    picture: Picture,
    request: ScaleRequest,
    overrides: Callable[[str], Override | None],
) -> Plan:
    """The plan of a request. `spec` is `declared` with the numbers that hold. Raises NotFound, UsageError, Refused."""
    names = _chosen(spec, picture, request)
    numbers = {n: declared.services[n].replicas if request.replicas is None else request.replicas for n in names}
    new = with_replicas(spec, numbers)
    refuse_clashes(spec, new, f"cannot scale {' '.join(names)}")
    b = Builder(spec.services, picture)
    effects: list[str] = []
    more = [n for n in names if numbers[n] > spec.services[n].replicas]
    for name in names:
        before = overrides(name)
        wanted = None if request.replicas is None else numbers[name]
        if numbers[name] < spec.services[name].replicas:
            effects += _fewer(b, spec.services[name], numbers[name], wanted, before)
        elif name in more or (before is not None) != (wanted is not None):
            _set(b, name, spec.services[name].replicas, numbers[name], wanted, before)
        else:
            effects.append(f"{name} has {_replicas(numbers[name])} already")
    b.after_all = tuple(at for at, step in enumerate(b.steps) if step.target in more)
    b.services = new.services
    for name in more:
        effects += _more(b, new.services[name], spec.services[name].replicas)
    gone = [i.name for i in picture.values() if i.service in names and not numbers[i.service]]
    return b.build("scale", names, [*effects, *stay_up(spec, picture, gone)], undo_on_failure=True)


def _chosen(spec: Spec, picture: Picture, request: ScaleRequest) -> tuple[str, ...]:
    if not request.services:
        raise UsageError("cannot scale: name at least one service")
    if request.replicas is not None and not 0 <= request.replicas <= MOST:
        raise UsageError(f"cannot scale to {request.replicas}: a service has 0 to {MOST} replicas")
    for name in request.services:
        if name not in spec.services and name in picture:
            raise NotFound(f"cannot scale {name}: it is an instance of {picture[name].service}; name the service")
        if name not in spec.services:
            raise no_such_service(name, spec.services)
        if spec.services[name].is_foreign:
            raise Refused(f"cannot scale {name}: there is one {spec.services[name].ref}; declare a service for another")
    return tuple(dict.fromkeys(request.services))


def refuse_clashes(old: Spec, new: Spec, what: str) -> None:
    """Refuses numbers of replicas with which two instances would claim the same. Raises Refused."""
    known = set(found_clashes(old))
    for clash in found_clashes(new):
        if clash not in known:
            raise Refused(
                f"{what}: {clash.message}" + (f"; {clash.hint} in services.{clash.service}" * bool(clash.hint))
            )


def found_clashes(spec: Spec) -> Iterator[Clash]:
    """What instances of this configuration would claim twice: ports, data, names."""
    listen = spec.metrics.listen.rpartition(":")[2]
    yield from clashes(spec.services, {int(listen): "metrics.listen"} if listen else {})
    for name, service in spec.services.items():
        for instance in service.instance_names():
            if instance in spec.services:
                yield Clash(name, ("replicas",), f"{instance!r} is also the name of a service", "rename one of them")


def _set(b: Builder, name: str, old: int, new: int, wanted: int | None, before: Override | None, *after: int) -> None:
    args = {"value": wanted, "before": to_args(before)}
    said = f"{_replicas(new)} as declared" if wanted is None else _replicas(new)
    said += f"{',' * (wanted is None)} instead of {old}" if old != new else ""
    b.add("service.scale", name, f"scale {name}: {said}", args, after, 30.0)


def _replicas(number: int) -> str:
    return "1 replica" if number == 1 else f"{number} replicas"


def _fewer(b: Builder, service: ServiceSpec, new: int, wanted: int | None, before: Override | None) -> list[str]:
    """Out of the endpoints, down, and only then no longer declared: so that every step can be undone."""
    going = [f"{service.name}-{number}" for number in range(service.replicas, new, -1)]
    there = [name for name in going if name in b.picture and b.picture[name].state is not State.STOPPED]
    drains = {name: b.drain(name) for name in there}
    chain: tuple[int, ...] = ()
    for name in there:
        chain = (b.stop_step(name, (*chain, *drains[name]), restore=True),)
    _set(b, service.name, service.replicas, new, wanted, before, *chain)
    left = [path for name in going for path in instance_spec(service, number_of(name)).data]
    said = [f"left on the disk: {_some(left)}"] if left else []
    return [*said, *_nobody_left(b.picture, service, going, new)]


def _nobody_left(picture: Picture, service: ServiceSpec, going: Sequence[str], new: int) -> list[str]:
    """The lowest numbers stay, whether they work or not."""
    staying = [picture[name] for number in range(1, new + 1) if (name := f"{service.name}-{number}") in picture]
    if not any(is_well(picture[name]) for name in going if name in picture) or any(is_well(i) for i in staying):
        return []
    how = [f"{i.name} {i.state if i.state is not State.RUNNING else i.health}" for i in staying]
    return [f"none of what stays is well: {_some(how)}"] if how else []


def _more(b: Builder, service: ServiceSpec, old: int) -> list[str]:
    coming = [f"{service.name}-{number}" for number in range(old + 1, service.replicas + 1)]
    mine = [i for i in b.picture.values() if i.service == service.name and i.name not in coming]
    if mine and not any(i.goal is Goal.UP for i in mine):
        return [f"{service.name} is stopped and stays so; `blackhole start {service.name}` starts all of it"]
    b.start([name for name in coming if b.is_down(name)], {})
    if started := [b.starts[name] for name in coming if name in b.starts]:
        b.tell(service, started)
    down = [i.name for i in mine if i.state in (State.FAILED, State.STOPPED) and not i.completed]
    ports = [f"{name} :{port}" for name in coming for port in instance_spec(service, number_of(name)).ports[:1]]
    said = [f"new endpoints: {_some(ports)}"] if ports else []
    return [*said, *([f"down, and left so: {_some(down)}"] if down else [])]


def _some(words: Sequence[str]) -> str:
    more = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def kept_numbers(
    services: Mapping[str, ServiceSpec], declared: Spec, overrides: Callable[[str], Override | None]
) -> list[str]:
    """What is to be said when another configuration declares numbers that do not hold."""
    lines = []
    for name, service in services.items():
        override = overrides(name)
        if override is not None and name in declared.services and declared.services[name].replicas != service.replicas:
            lines.append(
                f"{name} keeps the {_replicas(service.replicas)} that {override.actor} set; "
                f"`blackhole scale {name} --reset` gives it {declared.services[name].replicas}"
            )
    return lines
