"""Replicas: what each instance of a service has for itself, made from what is declared. Pure.

A declaration may hold placeholders: `{replica}` is the number of the instance, `{instance}` its name (`api-2`),
`{port}` its own port, `{port2}` its second one. They are filled in in what `templates` names. `{{port}}` stands for
`{port}` itself; one behind `$` or `%` is left alone, because it means something to shells and to curl, and so is
everything else in braces. The ports of instance n are those declared, each higher by (n - 1) * port_step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .spec import ServiceSpec, Spec

MOST = 1000
"""Replicas that a service may have."""
LAST_PORT = 65535
PLACEHOLDER = re.compile(r"\{\{(replica|instance|port[2-9]?)\}\}|(?<![$%{])\{(replica|instance|port[2-9]?)\}")


@dataclass(frozen=True, slots=True)
class Clash:
    """Two instances that would claim the same thing. `field` is the way to what is wrong within the service."""

    service: str
    field: tuple[str | int, ...]
    message: str
    hint: str = ""


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled in; those that have no value stay as they are written."""
    if "{" not in text:
        return text
    return PLACEHOLDER.sub(lambda m: f"{{{m[1]}}}" if m[1] else values.get(m[2], m[0]), text)


def used(texts: Sequence[str]) -> set[str]:
    """The placeholders in these texts."""
    return {m[2] for text in texts for m in PLACEHOLDER.finditer(text) if m[2]}


def templates(declared: ServiceSpec) -> dict[str, tuple[str, ...]]:
    """The parts of a service in which placeholders are filled in, by the names that they have in the file."""
    return {
        "command": declared.command,
        "environment": tuple(declared.environment.values()),
        "secrets": tuple(declared.secrets.values()),
        "working_dir": (declared.working_dir,),
        "data": declared.data,
        "healthcheck": (declared.probe.target, *declared.probe.command),
        "stop_command": declared.stop.command,
        "metrics": (declared.metrics,),
        "contract": (declared.contract,),
    }


def number_of(instance: str) -> int:
    """2 for `api-2`; 0 for what is no instance's name."""
    number = instance.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def ports_of(declared: ServiceSpec, number: int) -> tuple[int, ...]:
    """The ports of one instance, number 1 first; they may lie above LAST_PORT."""
    return tuple(port + (number - 1) * declared.port_step for port in declared.ports)


def values_of(declared: ServiceSpec, number: int) -> dict[str, str]:
    """What the placeholders stand for in one instance."""
    ports = {f"port{at}" if at > 1 else "port": str(port) for at, port in enumerate(ports_of(declared, number), 1)}
    return {"replica": str(number), "instance": f"{declared.name}-{number}", **ports}


def instance_spec(declared: ServiceSpec, number: int) -> ServiceSpec:
    """The service as its instance of that number has it."""
    values = values_of(declared, number)

    def one(text: str) -> str:
        return fill(text, values)

    def each(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(one, texts))

    def named(texts: Mapping[str, str]) -> Mapping[str, str]:
        return {key: one(text) for key, text in texts.items()}

    return replace(
        declared,
        command=each(declared.command),
        environment=named(declared.environment),
        secrets=named(declared.secrets),
        working_dir=one(declared.working_dir),
        data=each(declared.data),
        probe=replace(declared.probe, target=one(declared.probe.target), command=each(declared.probe.command)),
        stop=replace(declared.stop, command=each(declared.stop.command)),
        metrics=one(declared.metrics),
        contract=one(declared.contract),
        ports=ports_of(declared, number),
        # Its ports say it already, and another step is no reason to restart an instance whose ports stay.
        port_step=min(1, declared.port_step),
    )


def instances(declared: ServiceSpec) -> dict[str, ServiceSpec]:
    """By name, each instance's own."""
    return {name: instance_spec(declared, number) for number, name in enumerate(declared.instance_names(), 1)}


def all_instances(services: Mapping[str, ServiceSpec]) -> dict[str, ServiceSpec]:
    """By name, each instance's own, of every service."""
    return {name: spec for declared in services.values() for name, spec in instances(declared).items()}


def with_replicas(spec: Spec, numbers: Mapping[str, int]) -> Spec:
    """The configuration with other numbers of replicas; services that it does not have are left out."""
    changed = {
        name: replace(spec.services[name], replicas=number)
        for name, number in numbers.items()
        if name in spec.services and spec.services[name].replicas != number
    }
    return replace(spec, services={**spec.services, **changed}) if changed else spec


# ---- what cannot be --------------------------------------------------------------------------------------------------


def clashes(services: Mapping[str, ServiceSpec], taken: Mapping[int, str]) -> Iterator[Clash]:
    """Everything that two instances would both claim. `taken` has ports that are others', and whose they are."""
    yield from port_clashes(services, taken)
    yield from data_clashes(services)
    yield from probe_clashes(services)
    yield from untold_ports(services)


def port_clashes(services: Mapping[str, ServiceSpec], taken: Mapping[int, str]) -> Iterator[Clash]:
    """Ports that two would listen on, and ports that do not exist; for each pair of services the first."""
    holders = dict(taken)
    told: set[tuple[str, str]] = set()
    for name, declared in services.items():
        # With step 0 the replicas mean to share their ports (SO_REUSEPORT).
        for number in range(1, 2 if not declared.port_step else declared.replicas + 1):
            for at, port in enumerate(ports_of(declared, number)):
                own = f"services.{name}" if number == 1 else f"{name}-{number}"
                if wrong := _wrong(port, number, name, holders.get(port, "")):
                    key = (name, holders.get(port, "").rpartition("-")[0] or holders.get(port, ""))
                    if key not in told:
                        told.add(key)
                        yield Clash(name, ("ports", at), *wrong)
                holders.setdefault(port, own)


def _wrong(port: int, number: int, name: str, holder: str) -> tuple[str, str] | None:
    is_declared = number == 1 and "." in holder
    hint = "" if is_declared else "leave room between the ports, or write another port_step"
    if port > LAST_PORT:
        return f"the port of {name}-{number} would be {port}, and the last there is is {LAST_PORT}", hint
    if not holder:
        return None
    own = "" if is_declared else f" of services.{name}" if number == 1 else f" of {name}-{number}"
    return f"port {port}{own} is already that of {holder}", hint


def data_clashes(services: Mapping[str, ServiceSpec]) -> Iterator[Clash]:
    """Data that two instances would both write; for each path as declared the first."""
    holders: dict[str, str] = {}
    for name, declared in services.items():
        told: set[int] = set()
        for number in range(1, declared.replicas + 1):
            own, values = f"{name}-{number}", values_of(declared, number)
            for at, path in enumerate(declared.data):
                holder = holders.setdefault(fill(path, values), own)
                if holder != own and at not in told:
                    told.add(at)
                    is_sibling = holder.rpartition("-")[0] == name
                    hint = "write {replica} or {instance} in the path" if is_sibling else "declare it for one of them"
                    message = f"{fill(path, values)} of {own} is already the data of {holder}"
                    yield Clash(name, ("data", at), message, hint)


def probe_clashes(services: Mapping[str, ServiceSpec]) -> Iterator[Clash]:
    """Replicas whose probe would ask another replica, and call the one well because the other is."""
    for name, declared in services.items():
        if declared.replicas < 2 or not declared.ports or not declared.port_step:
            continue
        target = declared.probe.target
        asked = next((port for port in declared.ports if re.search(rf":{port}(?!\d)", target)), None)
        if asked is not None and not used([target]) & {"port", *(f"port{at}" for at in range(2, 10))}:
            yield Clash(
                name,
                ("healthcheck",),
                f"the healthcheck of {name}-2 asks port {asked}, which is that of {name}-1",
                "write {port} in its place",
            )


def untold_ports(services: Mapping[str, ServiceSpec]) -> Iterator[Clash]:
    """Replicas that nothing tells which port is theirs, so that all would take the first one."""
    for name, declared in services.items():
        if declared.replicas < 2 or not declared.ports or not declared.port_step:
            continue
        texts = [
            text for part in ("command", "environment", "secrets", "working_dir") for text in templates(declared)[part]
        ]
        if not used(texts) and not any(
            own in text for text in texts for own in ("BLACKHOLE_PORT", "BLACKHOLE_REPLICA")
        ):
            yield Clash(
                name,
                ("replicas",),
                f"nothing tells {name}-2 that its port is {declared.ports[0] + declared.port_step}",
                "write {port} in command or environment, or port_step: 0 when all share the port (SO_REUSEPORT)",
            )
