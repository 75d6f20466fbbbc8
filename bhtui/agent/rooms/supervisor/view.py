"""What `status` shows of an instance. Pure."""

from __future__ import annotations

from bhtui.core.endpoint import address_of
from bhtui.core.override import Override
from bhtui.core.states import Goal, State
from bhtui.core.status import InstanceStatus, Scaling

from .instance import Instance, leftover_text
from .model import Sample
from .restart import SECOND


def to_status(
    i: Instance, sample: Sample | None, now: int, override: Override | None = None, scaling: Scaling | None = None
) -> InstanceStatus:
    """The instance at the moment `now`, with what it uses, if that is known, and what was set at run time last."""
    alive = i.pid is not None or (i.spec.is_foreign and i.state is State.RUNNING)
    uptime = max(0.0, (now - i.started_ns) / SECOND) if alive else None
    limits = i.spec.limits
    is_limited = any((limits.memory, limits.cpu, limits.pids, limits.iops, limits.bandwidth))
    return InstanceStatus(
        service=i.service,
        instance=i.name,
        state=i.state,
        goal=i.goal,
        health=i.health,
        health_detail=i.health_detail,
        probe=i.spec.probe.kind,
        result=i.result,
        pid=i.pid,
        uptime_seconds=uptime,
        restarts=i.history.restarts,
        next_start_seconds=max(0.0, (i.next_start_ns - now) / SECOND) if i.next_start_ns else None,
        cpu_percent=sample.cpu_percent if sample and alive else None,
        memory_bytes=sample.memory_bytes if sample and alive else None,
        memory_limit_bytes=limits.memory,
        limits_held_by=i.held_by if is_limited and alive else "",
        limits_not_held=i.not_held if alive else "",
        limits_override_by=override.actor if override else "",
        limits_override_seconds=max(0.0, (now - override.time_ns) / SECOND) if override else None,
        last_error=_last_error(i, uptime),
        waiting_for=i.waiting_for,
        held=i.held,
        since_ns=i.since_ns,
        threads=sample.threads if sample and alive else None,
        fds=sample.fds if sample and alive else None,
        ports=i.spec.ports,
        endpoint=address_of(i.spec),
        scaling=scaling,
        kind=i.spec.kind,
        ref=i.spec.ref,
    )


def _last_error(i: Instance, uptime: float | None) -> str:
    """Also shown while it runs again, until that run has lasted: else a crash loop shows nothing half of the time."""
    if i.state is State.RUNNING and (uptime or 0.0) >= i.spec.restart.reset_after:
        return ""
    if i.last_error or i.goal is Goal.UP:
        return i.last_error
    return leftover_text(i)
