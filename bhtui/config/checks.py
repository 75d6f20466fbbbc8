"""What must be true of the whole configuration: CHECKS, one function for each truth.

They see what could be read, look at nothing but the file, and are all run. What depends on the host (users, programs,
ports in use) is found out when a service is started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from bhtui.core.autoscale import fault
from bhtui.core.graph import find_cycle
from bhtui.core.replica import (
    Clash,
    data_clashes,
    port_clashes,
    probe_clashes,
    templates,
    untold_ports,
    used,
    values_of,
)
from bhtui.core.spec import Condition, Restart, ServiceSpec

from .alerts import ACTIONS
from .backupchecks import backups_can_be_made, backups_do_not_hold_themselves, what_is_left_out_can_be_matched
from .faults import Fault, dotted, suggest
from .foreign import kinds_are_told_apart, others_things_are_declared_once, what_others_run_has_its_own_ways
from .model import Config
from .outputs import Caller, FileOutput, SyslogOutput
from .restart import BESIDE

Check = Callable[[Config], Iterator[Fault]]


RESERVED = ("agent", "host")
"""What a service is not called, because commands and metrics mean something else by it."""


def names_mean_one_thing(config: Config) -> Iterator[Fault]:
    """A name is that of one service or of one instance."""
    instances = {
        f"{name}-{number}": name
        for name, service in config.services.items()
        for number in range(1, service.replicas + 1)
    }
    for name in config.declared:
        path = ("services", name)
        if name in RESERVED:
            yield Fault(path, f"a service cannot be named {name!r}: that name is reserved", "choose another name")
        elif (other := instances.get(name)) is not None:
            yield Fault(path, f"{name!r} is also the name of an instance of services.{other}", "rename one of them")


def dependencies_exist(config: Config) -> Iterator[Fault]:
    """A dependency is a declared service."""
    for name, service in config.services.items():
        for other in service.depends_on:
            if other not in config.declared:
                path = ("services", name, "depends_on", other)
                others = [known for known in config.declared if known != name]
                hint = suggest(other, others)
                if other in config.switched_off:
                    hint = f"choose it with --profile {config.switched_off[other][0]}"
                yield Fault(path, f"services.{name} depends on {other!r}, which is not declared", hint)


def dependencies_have_no_cycle(config: Config) -> Iterator[Fault]:
    """A service does not need itself, nor through others."""
    needs = {name: list(service.depends_on) for name, service in config.services.items()}
    while cycle := find_cycle(needs):
        shown = " -> ".join(cycle)
        yield Fault(
            ("services", cycle[0], "depends_on", cycle[1]), f"dependency cycle: {shown}", "take one of them out"
        )
        for name, other in pairwise(cycle[-2:]):
            needs[name].remove(other)


def awaited_ends_can_come(config: Config) -> Iterator[Fault]:
    """What others wait for to complete is not started again when it ends."""
    for name, service in config.services.items():
        for other, dependency in service.depends_on.items():
            awaited = config.services.get(other)
            if awaited is None or dependency.condition is not Condition.COMPLETED:
                continue
            if awaited.restart.policy in (Restart.ALWAYS, Restart.UNLESS_STOPPED):
                yield Fault(
                    ("services", name, "depends_on", other),
                    f"services.{name} waits for {other!r} to complete, which is restarted when it ends",
                    f"write restart: on-failure in services.{other}",
                )


def healthchecks_have_one_kind(config: Config) -> Iterator[Fault]:
    """A healthcheck asks in exactly one way."""
    for name, service in config.services.items():
        check, path = service.healthcheck, ("services", name, "healthcheck")
        given = check.model_fields_set
        if len(check.kinds()) > 1:
            yield Fault(path, f"{dotted(path)} has {' and '.join(check.kinds())}", "keep one of them")
        elif given and not check.kinds() and not check.disable:
            yield Fault(path, f"{dotted(path)} does not say what to ask", "one of tcp, http, grpc, test, log")


def ports_are_used_once(config: Config) -> Iterator[Fault]:
    """No two instances listen on the same port, nor does the agent."""
    listen = config.metrics.listen.rpartition(":")[2]
    yield from _clashes(port_clashes(_as_specs(config), {int(listen): "metrics.listen"} if listen else {}))


def data_is_of_one(config: Config) -> Iterator[Fault]:
    """No two instances keep their data in the same place."""
    yield from _clashes(data_clashes(_as_specs(config)))


def replicas_are_asked_themselves(config: Config) -> Iterator[Fault]:
    """The healthcheck of an instance asks that instance."""
    yield from _clashes(probe_clashes(_as_specs(config)))


def replicas_know_their_ports(config: Config) -> Iterator[Fault]:
    """Each instance is told its own port. What stands in an env_file is not seen here."""
    seen = {name: each for name, each in _as_specs(config).items() if not config.services[name].env_file}
    yield from _clashes(untold_ports(seen))


def own_ports_are_declared(config: Config) -> Iterator[Fault]:
    """What speaks of `{port}` says which."""
    for name, service in _as_specs(config).items():
        for part, texts in templates(service).items():
            for word in sorted(used(texts) - set(values_of(service, 1))):
                path = ("services", name, part)
                hint = f"write ports: [PORT], or {{{{{word}}}}} where the braces are meant"
                yield Fault(path, f"{dotted(path)} speaks of {{{word}}}, which is none of its ports", hint)


def _as_specs(config: Config) -> dict[str, ServiceSpec]:
    """As far as the file says: without env_files, as if it lay in the root folder, and with as many as there may be."""
    specs = {name: each.spec(name, Path("/"), {}, config.logging, {}) for name, each in config.services.items()}
    return {
        name: replace(each, replicas=max(each.replicas, each.scale.max)) if each.scale.auto else each
        for name, each in specs.items()
    }


def _clashes(found: Iterable[Clash]) -> Iterator[Fault]:
    return (Fault(("services", each.service, *each.field), each.message, each.hint) for each in found)


def scaling_can_work(config: Config) -> Iterator[Fault]:
    """The bounds are in order, there is something to look at, and the number to begin with is within them."""
    for name, service in config.services.items():
        if service.scale is None:
            continue
        path, spec = ("services", name, "scale"), service.scale.spec()
        if wrong := fault(spec):
            yield Fault(path, f"{dotted(path)}: {wrong}")
        elif spec.memory is not None and service.limits.memory is None:
            yield Fault(
                (*path, "memory"),
                f"services.{name} has no memory limit, of which scale.memory would be a share",
                "write limits: {memory: 512M}, or leave scale.memory out",
            )
        elif spec.auto and (why := _runs_once(config, name)):
            yield Fault(path, f"services.{name} cannot follow its load: {why}", "leave scale out")
        elif spec.auto and "replicas" in service.model_fields_set and service.replicas != spec.clamp(service.replicas):
            yield Fault(
                ("services", name, "replicas"),
                f"services.{name}: {service.replicas} replicas are not within its scale of {spec.bounds}",
                "leave replicas out, or widen the bounds",
            )


def _runs_once(config: Config, name: str) -> str:
    """Why a service is not one of which there could be more or fewer."""
    if config.services[name].restart.policy is Restart.NO:
        return "it runs once (restart: no)"
    for other, service in config.services.items():
        if name in service.depends_on and service.depends_on[name].condition is Condition.COMPLETED:
            return f"services.{other} waits for it to complete"
    return ""


def restarts_are_said_once(config: Config) -> Iterator[Fault]:
    """A delay stands in `restart` or beside it, and does not exceed the maximum."""
    for name, service in config.services.items():
        inside = service.restart.model_fields_set
        for key in BESIDE:
            if key in inside and getattr(service, f"restart_{key}") is not None:
                yield Fault(
                    ("services", name, f"restart_{key}"),
                    f"services.{name}: restart_{key} is also in restart",
                    "keep one of them",
                )
        spec = service.restart_spec()
        if spec.delay > spec.maximum:
            yield Fault(
                ("services", name, "restart"),
                f"services.{name}: the restart delay {spec.delay:g} s is above its maximum {spec.maximum:g} s",
            )


def variables_are_set_once(config: Config) -> Iterator[Fault]:
    """A variable is a secret or is written in the file, not both."""
    for name, service in config.services.items():
        for variable in sorted(service.secrets.keys() & service.environment.keys()):
            path = ("services", name, "environment", variable)
            yield Fault(path, f"services.{name}: {variable} is set in secrets too", "keep the one in secrets")


def tuning_is_of_services(config: Config) -> Iterator[Fault]:
    """`performance` speaks of declared services."""
    for name in config.performance.performance:
        if name not in config.declared and name not in config.switched_off:
            yield Fault(("performance", name), f"there is no service {name!r} to tune", suggest(name, config.declared))


def pressure_can_be_relieved(config: Config) -> Iterator[Fault]:
    """Only what speaks the contract can clear caches or collect garbage."""
    for name, service in config.services.items():
        for step in service.limits.on_pressure or ():
            if step != "restart" and not service.contract:
                path = ("services", name, "limits", "on_pressure")
                yield Fault(
                    path,
                    f"services.{name} has no contract, so that nobody can ask it for {step}",
                    "write contract: HOST:PORT, or leave the step out",
                )


def alert_names_are_unique(config: Config) -> Iterator[Fault]:
    """An alert is silenced and acknowledged by its name."""
    yield from _repeated([alert.name for alert in config.alerts.alerts], ("alerts",), "an alert")


def alert_actions_exist(config: Config) -> Iterator[Fault]:
    """An alert does what exists."""
    for index, alert in enumerate(config.alerts.alerts):
        for number, action in enumerate(alert.actions):
            if action not in ACTIONS:
                path = ("alerts", index, "actions", number)
                yield Fault(path, f"alert {alert.name!r}: there is no action {action!r}", suggest(action, ACTIONS))


def windows_are_told_apart(config: Config) -> Iterator[Fault]:
    """A maintenance window is closed by its name."""
    yield from _repeated([each.name for each in config.maintenance.windows], ("maintenance", "windows"), "a window")


def windows_are_of_services(config: Config) -> Iterator[Fault]:
    """A maintenance window holds declared services, and is over some time."""
    for index, window in enumerate(config.maintenance.windows):
        path = ("maintenance", "windows", index)
        for number, name in enumerate(window.services):
            if name not in config.declared and name not in config.switched_off:
                at = (*path, "services", number)
                yield Fault(at, f"window {window.name!r}: there is no service {name!r}", suggest(name, config.declared))
        if window.is_endless():
            hint = "make it shorter, or write restart: no"
            yield Fault((*path, "duration"), f"window {window.name!r} opens again before it closes", hint)


def task_names_are_unique(config: Config) -> Iterator[Fault]:
    """An automated task is found by its name."""
    yield from _repeated([task.name for task in config.automation.tasks], ("automation", "tasks"), "a task")


def output_names_are_unique(config: Config) -> Iterator[Fault]:
    """An output keeps its place under its name."""
    names: list[str] = []
    for index, output in enumerate(config.logging.outputs):
        name = output.name or output.type
        if name in names:
            yield Fault(
                ("logging", "outputs", index), f"there is already an output named {name!r}", "give it a name: NAME"
            )
        names.append(name)


def remote_writes_have_names(config: Config) -> Iterator[Fault]:
    """What waits for each is kept under its name."""
    names: list[str] = []
    for index, remote in enumerate(config.metrics.remote_write):
        if remote.name in names:
            path = ("metrics", "remote_write", index)
            yield Fault(path, f"there is already a remote write named {remote.name!r}", "give it a name: NAME")
        names.append(remote.name)


def outputs_share_no_file(config: Config) -> Iterator[Fault]:
    """A file is rotated by one output."""
    holders: dict[str, int] = {}
    for index, output in enumerate(config.logging.outputs):
        if isinstance(output, FileOutput):
            if output.path in holders:
                other = dotted(("logging", "outputs", holders[output.path]))
                yield Fault(("logging", "outputs", index, "path"), f"{output.path} is already the file of {other}")
            holders.setdefault(output.path, index)


def outputs_are_of_services(config: Config) -> Iterator[Fault]:
    """An output takes services that are declared, or the agent's own log."""
    known = (*config.declared, *config.switched_off, "agent")
    for index, output in enumerate(config.logging.outputs):
        for key in ("services", "exclude"):
            for number, name in enumerate(getattr(output, key)):
                if name not in known:
                    path = ("logging", "outputs", index, key, number)
                    yield Fault(path, f"{dotted(path)}: there is no service {name!r}", suggest(name, known))


def outputs_say_who_they_are_once(config: Config) -> Iterator[Fault]:
    """A secret comes from one place, and there is one kind of it."""
    for path, output in _callers(config):
        kinds = ("password", "api_key", "bearer_token")
        given = {kind: [key for key in (f"{kind}_file", f"{kind}_env") if getattr(output, key, "")] for kind in kinds}
        keys = [key for found in given.values() for key in found]
        if len(keys) > 1:
            yield Fault((*path, keys[1]), f"{dotted(path)} has {' and '.join(keys)}", "keep one of them")
        if bool(output.username) != bool(given["password"]):
            yield Fault(path, f"{dotted(path)}: username and password_file (or password_env) belong together")


def _callers(config: Config) -> Iterator[tuple[tuple[str | int, ...], Caller]]:
    """Whatever asks servers by HTTP, and where it stands."""
    for index, output in enumerate(config.logging.outputs):
        if isinstance(output, Caller):
            yield ("logging", "outputs", index), output
    for index, remote in enumerate(config.metrics.remote_write):
        yield ("metrics", "remote_write", index), remote


def outputs_connect_as_they_say(config: Config) -> Iterator[Fault]:
    """What is said of a connection fits its kind."""
    for where, caller in _callers(config):
        if caller.tls.key_file and not caller.tls.cert_file:
            yield Fault((*where, "tls"), f"{dotted(where)}.tls has a key_file without its cert_file")
    for index, output in enumerate(config.logging.outputs):
        path = ("logging", "outputs", index)
        if isinstance(output, SyslogOutput):
            given = output.model_fields_set
            if output.address.startswith("unix:") and "protocol" in given:
                yield Fault((*path, "protocol"), f"{dotted(path)}: a Unix socket has no protocol", "leave it out")
            elif "tls" in given and output.protocol != "tls":
                yield Fault(
                    (*path, "tls"), f"{dotted(path)} has tls, and is sent by {output.protocol}", "protocol: tls"
                )
        if isinstance(output, SyslogOutput) and output.tls.key_file and not output.tls.cert_file:
            yield Fault((*path, "tls"), f"{dotted(path)}.tls has a key_file without its cert_file")


def _repeated(names: list[str], path: tuple[str, ...], what: str) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault((*path, index, "name"), f"there is already {what} named {name!r}")


CHECKS: tuple[Check, ...] = (
    names_mean_one_thing,
    kinds_are_told_apart,
    what_others_run_has_its_own_ways,
    others_things_are_declared_once,
    dependencies_exist,
    dependencies_have_no_cycle,
    awaited_ends_can_come,
    healthchecks_have_one_kind,
    ports_are_used_once,
    data_is_of_one,
    replicas_are_asked_themselves,
    replicas_know_their_ports,
    own_ports_are_declared,
    scaling_can_work,
    restarts_are_said_once,
    variables_are_set_once,
    tuning_is_of_services,
    pressure_can_be_relieved,
    alert_names_are_unique,
    alert_actions_exist,
    windows_are_told_apart,
    windows_are_of_services,
    backups_can_be_made,
    what_is_left_out_can_be_matched,
    backups_do_not_hold_themselves,
    task_names_are_unique,
    output_names_are_unique,
    remote_writes_have_names,
    outputs_share_no_file,
    outputs_are_of_services,
    outputs_say_who_they_are_once,
    outputs_connect_as_they_say,
)
