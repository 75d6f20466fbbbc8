"""Services whose processes are not ours: which unit or container is meant, and which keys mean nothing there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bhtui.core.spec import ServiceKind

from .faults import Fault, dotted
from .model import Config
from .services import Service

RUNNING = ("command", "working_dir", "environment", "env_file", "secrets", "user", "umask", "ulimits")
RESTARTING = ("restart", "restart_delay", "restart_factor", "restart_maximum", "restart_jitter", "restart_start_limit",
              "restart_start_window", "restart_reset_after")  # fmt: skip
STOPPING = ("stop_signal", "stop_grace_period", "stop_command")
NUMBERS = ("replicas", "scale")
OF_PROCESSES: tuple[str, ...] = (*RUNNING, *RESTARTING, *STOPPING, *NUMBERS)
"""Keys that only a process of ours has."""
OF_UNITS: Mapping[str, str] = {
    **dict.fromkeys(RUNNING, "the unit itself says how it is run: systemctl edit {ref}"),
    **dict.fromkeys(RESTARTING, "systemd starts it again as Restart= of the unit says: systemctl edit {ref}"),
    **dict.fromkeys(
        STOPPING, "systemd stops it as KillSignal=, ExecStop= and TimeoutStopSec= of the unit say: systemctl edit {ref}"
    ),
    **dict.fromkeys(
        NUMBERS, "there is one unit; declare a service for each, as for worker@1.service and worker@2.service"
    ),
    "liveness": "write WatchdogSec= and Restart= in the unit",
}
"""What is to be done instead in a unit."""
OF_CONTAINERS: Mapping[str, str] = {
    **dict.fromkeys(RUNNING, "it is given when the container is made: docker run, podman run, or a Compose file"),
    **dict.fromkeys(RESTARTING, "its engine starts it again by its own policy: docker update --restart POLICY {ref}"),
    **dict.fromkeys(STOPPING, "it is given when the container is made: --stop-signal and --stop-timeout"),
    **dict.fromkeys(NUMBERS, "there is one container of a name; declare a service for each"),
    "liveness": "give the container a HEALTHCHECK; Podman restarts by --health-on-failure",
}
"""What is to be done instead for a container."""
FOREIGN = {ServiceKind.SYSTEMD: ("unit", OF_UNITS), ServiceKind.CONTAINER: ("container", OF_CONTAINERS)}
"""What the thing is called that a service of this kind stands for, and its own ways."""
OF_ONE_KIND = {
    "unit": ServiceKind.SYSTEMD,
    "scope": ServiceKind.SYSTEMD,
    "container": ServiceKind.CONTAINER,
    "engine": ServiceKind.CONTAINER,
}
"""Keys that only one kind has."""


def kinds_are_told_apart(config: Config) -> Iterator[Fault]:
    """What names a unit or container stands beside the kind that it is of."""
    for name, service in config.services.items():
        path = ("services", name)
        for key, kind in OF_ONE_KIND.items():
            if key in service.model_fields_set and service.kind is not kind:
                yield Fault((*path, key), f"{dotted((*path, key))} is of kind: {kind} alone", f"write kind: {kind} too")


def what_others_run_has_its_own_ways(config: Config) -> Iterator[Fault]:
    """What systemd or an engine runs is not told here how: such keys would do nothing."""
    for name, service in config.services.items():
        if service.kind not in FOREIGN:
            continue
        path, (thing, instead) = ("services", name), FOREIGN[service.kind]
        ref = _ref(service) or thing.upper()
        for key in OF_PROCESSES:
            if key in service.model_fields_set and not (key == "replicas" and service.replicas == 1):
                does_nothing = f"{dotted((*path, key))} does nothing for a {thing}"
                yield Fault((*path, key), does_nothing, instead[key].format(ref=ref))
        if service.healthcheck.liveness:
            at = (*path, "healthcheck", "liveness")
            yield Fault(at, f"{dotted(at)} does nothing for a {thing}", instead["liveness"])
        if config.performance.performance.get(name):
            hint = instead["environment"].format(ref=ref)
            yield Fault(("performance", name), f"performance.{name} does nothing for a {thing}", hint)


def others_things_are_declared_once(config: Config) -> Iterator[Fault]:
    """A unit or container is one service, and the agent's own unit is none."""
    seen: dict[tuple[str, str], str] = {}
    for name, service in config.services.items():
        ref = _ref(service)
        if service.kind not in FOREIGN or not ref:
            continue
        path = ("services", name, FOREIGN[service.kind][0])
        key = (f"{service.kind} {service.scope if service.unit else service.engine or ''}", ref)
        if ref == "blackhole.service":
            yield Fault(path, "blackhole.service is the agent itself", "it is installed by `blackhole agent install`")
        elif key in seen:
            yield Fault(path, f"{ref} is already services.{seen[key]}", "keep one of them")
        seen.setdefault(key, name)


def _ref(service: Service) -> str:
    return (service.unit if service.kind is ServiceKind.SYSTEMD else service.container) or ""
