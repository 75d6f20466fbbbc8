"""Steps in words for people, as a plan shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from bhtui.core.diff import SpecDiff
from bhtui.core.override import LIMITS, PRIORITIES
from bhtui.core.spec import LimitsSpec, ProbeKind, ProbeSpec, ServiceKind, ServiceSpec
from bhtui.core.units import format_size

from .restart import seconds_text

_LOOPBACK = re.compile(r"^(?:https?://)?(?:127\.0\.0\.1|localhost|\[::1\])(?=:\d)")
_WIDTH = 40


def start_title(name: str, spec: ServiceSpec) -> str:
    """`start api-1: wait healthy by http :8080/health, at most 30 s`. `spec` is the instance's own."""
    by = f"{manager_text(spec)}, " if spec.is_foreign else ""
    if spec.probe.kind is ProbeKind.NONE and spec.kind is ServiceKind.CONTAINER:
        return f"start {name}: {by}wait until it runs and its HEALTHCHECK, if it has one, has passed"
    if spec.probe.kind is ProbeKind.NONE:
        return f"start {name}: {by}it has no probe, running is enough"
    wait = f"wait healthy by {probe_text(spec.probe)}, at most {seconds_text(spec.probe.ready_timeout)}"
    return f"start {name}: {by}{wait}"


def manager_text(spec: ServiceSpec) -> str:
    """Who starts and stops it: `by systemd, nginx.service`."""
    if spec.kind is ServiceKind.SYSTEMD:
        return f"by {'systemd --user' if spec.scope == 'user' else 'systemd'}, {spec.unit}"
    engine = f"the engine at {spec.engine}" if spec.engine.startswith("/") else spec.engine or "its engine"
    return f"by {engine}, container {spec.container}"


def kill_title(name: str, spec: ServiceSpec) -> str:
    """`kill every process of api-1 at once`."""
    return f"kill every process of {name} at once" + (f", {manager_text(spec)}" if spec.is_foreign else "")


def probe_text(probe: ProbeSpec) -> str:
    """`http :8080/health`, `tcp :6379`, `command redis-cli ping`, `log line /ready/`."""
    if probe.kind is ProbeKind.COMMAND:
        return "command " + _short(" ".join(probe.command))
    if probe.kind is ProbeKind.LOG:
        return f"log line /{_short(probe.target)}/"
    return f"{probe.kind} {_short(_LOOPBACK.sub('', probe.target))}"


def stop_title(name: str, spec: ServiceSpec, timeout: float | None) -> str:
    """`stop api-1: SIGTERM, 10 s grace, then the whole process tree`. `timeout` None: as declared."""
    if spec.is_foreign and timeout is None:
        return f"stop {name}: {manager_text(spec)}, as it is declared there"
    grace = spec.stop.grace if timeout is None else timeout
    if spec.is_foreign:
        end = f"killed after {seconds_text(grace)}" if grace > 0 else "killed at once"
        return f"stop {name}: {manager_text(spec)}, {end}"
    if grace <= 0:
        return f"stop {name}: kill the whole process tree at once"
    how = f"`{_short(' '.join(spec.stop.command))}`" if spec.stop.command else spec.stop.signal
    return f"stop {name}: {how}, {seconds_text(grace)} grace, then the whole process tree"


def tell_title(service: str) -> str:
    """`tell of api: its on_change knows all that is ready`."""
    return f"tell of {service}: its on_change knows all that is ready"


def drain_title(name: str, spec: ServiceSpec) -> str:
    """`drain api-2: out of the endpoints, told to its on_change, then 1 s`."""
    told = ", told to its on_change" if spec.endpoints.on_change else ""
    return f"drain {name}: out of the endpoints{told}, then {seconds_text(spec.endpoints.drain)}"


def reload_title(name: str, spec: ServiceSpec) -> str:
    """`reload web-1: SIGHUP, so that it reads its own configuration again`."""
    how = spec.reload_signal or "asked by its contract"
    return f"reload {name}: {how}, so that it reads its own configuration again"


def hold_title(name: str, old: LimitsSpec, new: LimitsSpec) -> str:
    """`hold api-1: memory 128 M instead of 64 M, as it runs`."""
    names = [each for each in (*LIMITS, *PRIORITIES) if getattr(old, each) != getattr(new, each)]
    said = [f"{each} {_limit(each, new)} instead of {_limit(each, old)}" for each in names]
    return f"hold {name}: {', '.join(said)}, as it runs"


def _limit(name: str, limits: LimitsSpec) -> str:
    value = getattr(limits, name)
    if value is None:
        return "none"
    if name in ("memory", "bandwidth"):
        return format_size(value) + ("/s" if name == "bandwidth" else "")
    return f"{value:g}" if isinstance(value, float) else str(value)


def change_lines(found: SpecDiff, held: Collection[str] = ()) -> list[str]:
    """What a configuration changes: `added: cache`; a line for each value, `api: environment.COLOUR red -> blue`.

    `held` are services whose limits are changed while they run.
    """
    lines = [f"added: {', '.join(found.added)}"] if found.added else []
    lines += [f"removed: {', '.join(found.removed)}"] if found.removed else []
    for change in found.changed:
        for one in change.fields:
            is_live = one.is_live or (change.service in held and one.name.startswith("limits."))
            lines.append(f"{change.service}: {one}{', without a restart' if is_live else ''}")
    return [*lines, *([f"changed beside the services: {', '.join(found.sections)}"] if found.sections else [])]


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
