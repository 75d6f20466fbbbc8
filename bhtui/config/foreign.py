"""Services whose processes are not ours: which unit or container is meant, and which keys mean nothing there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bhtui.core.spec import ServiceKind

from .faults import Fault, dotted
from .model import Config

_OWN = "the unit itself says how it is run: systemctl edit {ref}"
_POLICY = "systemd starts it again as Restart= of the unit says: systemctl edit {ref}"
_STOP = "systemd stops it as KillSignal=, ExecStop= and TimeoutStopSec= of the unit say: systemctl edit {ref}"
OF_PROCESSES: Mapping[str, str] = {
    **dict.fromkeys(("command", "working_dir", "environment", "env_file", "secrets", "user", "umask", "ulimits"), _OWN),
    **dict.fromkeys(("restart", "restart_delay", "restart_factor", "restart_maximum", "restart_jitter"), _POLICY),
    **dict.fromkeys(("restart_start_limit", "restart_start_window", "restart_reset_after"), _POLICY),
    **dict.fromkeys(("stop_signal", "stop_grace_period", "stop_command"), _STOP),
    "replicas": "there is one unit; declare a service for each, as for worker@1.service and worker@2.service",
}
"""Keys that only a process of ours has, and what is to be done instead in a unit."""
OF_FOREIGN = {"unit": ServiceKind.SYSTEMD, "scope": ServiceKind.SYSTEMD}
"""Keys that only one kind has."""


def kinds_are_told_apart(config: Config) -> Iterator[Fault]:
    """What names a unit stands beside the kind that it is of."""
    for name, service in config.services.items():
        path = ("services", name)
        if service.kind is ServiceKind.CONTAINER:
            yield Fault((*path, "kind"), f"{dotted(path)}: this version does not know containers", "leave it out")
        for key, kind in OF_FOREIGN.items():
            if key in service.model_fields_set and service.kind is not kind:
                yield Fault((*path, key), f"{dotted((*path, key))} is of kind: {kind} alone", f"write kind: {kind} too")


def units_have_their_own_ways(config: Config) -> Iterator[Fault]:
    """What systemd or an engine runs is not told here how: such keys would do nothing."""
    for name, service in config.services.items():
        if service.kind is not ServiceKind.SYSTEMD:
            continue
        path, ref = ("services", name), service.unit or "UNIT"
        for key in OF_PROCESSES:
            if key in service.model_fields_set and not (key == "replicas" and service.replicas == 1):
                yield Fault((*path, key), f"{dotted((*path, key))} does nothing for a unit", _hint(key, ref))
        if service.healthcheck.liveness:
            at = (*path, "healthcheck", "liveness")
            yield Fault(at, f"{dotted(at)} does nothing for a unit", "write WatchdogSec= and Restart= in the unit")
        if config.performance.performance.get(name):
            yield Fault(("performance", name), f"performance.{name} does nothing for a unit", _hint("environment", ref))


def _hint(key: str, ref: str) -> str:
    return OF_PROCESSES[key].format(ref=ref)


def units_are_declared_once(config: Config) -> Iterator[Fault]:
    """A unit is one service, and the agent's own unit is none."""
    seen: dict[tuple[str, str], str] = {}
    for name, service in config.services.items():
        if service.kind is not ServiceKind.SYSTEMD or not service.unit:
            continue
        path, key = ("services", name, "unit"), (service.scope, service.unit)
        if service.unit == "blackhole.service":
            yield Fault(path, "blackhole.service is the agent itself", "it is installed by `blackhole agent install`")
        elif key in seen:
            yield Fault(path, f"{service.unit} is already services.{seen[key]}", "keep one of them")
        seen.setdefault(key, name)
