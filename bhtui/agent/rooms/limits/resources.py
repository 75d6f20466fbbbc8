"""Limits as people set and see them: overrides put in force on what runs, and what is used of what may be."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bhtui.core.errors import BlackholeError
from bhtui.core.operation import Plan
from bhtui.core.override import LIMITS, PRIORITIES, Override, latest, same
from bhtui.core.request import ResourceRequest
from bhtui.core.resources import DiskUse, InstanceResources, LimitState
from bhtui.core.spec import ServiceSpec
from bhtui.core.states import State

from . import cgroup1, priority, requests
from .device import device_of, scheduler
from .model import CGROUP1, SCHEDULER, Held, Instances, Running, Sample, Usage
from .overrides import OverrideBook
from .room import DEVICE_LIMITS, Limits

PRIORITY_SCHEDULERS = frozenset({"bfq", "mq-deadline"})
"""Those that look at ionice (block/ioprio)."""


class Resources:
    """Between the room of limits and those who ask."""

    def __init__(
        self,
        limits: Limits,
        overrides: OverrideBook,
        instances: Instances,
        usage: Usage,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.clock = clock
        self._limits, self._overrides, self._instances, self._usage = limits, overrides, instances, usage

    # ---- changes ---------------------------------------------------------------------------------------------------

    def plan(self, request: ResourceRequest) -> Plan:
        """Exactly what the request would do. Raises NotFound, UsageError, Refused."""
        used = {name: sample.memory_bytes for name in self._instances.picture if (sample := self._usage.of(name))}
        in_use = {name: amount for name, amount in used.items() if amount is not None}
        services = self._instances.spec.services
        return requests.plan(services, request, self._overrides.of, in_use, lambda name: self._on_this_host(name)[1])

    def override(self, service: str, changes: Mapping[str, Override | None]) -> None:
        """Writes down what is changed; what is as wanted already keeps its origin. Raises StoreUnavailable."""
        now = self._overrides.of(service)
        new = {name: wanted for name, wanted in changes.items() if not same(now.get(name), wanted)}
        if new:
            self._overrides.change(service, new)

    def without_process(self, service: str) -> str:
        """An instance that is about to have a process, and has none that could be held yet; empty: there is none."""
        mine = [i for i in self._of(service) if not i.spec.is_foreign]
        return next((i.name for i in mine if i.state is State.STARTING and i.pid is None), "")

    async def hold(self, service: str) -> str:
        """Holds the running instances to the limits that are in force; what is not held, in words.

        A unit or container is held by its manager, also while it does not run. Raises BlackholeError when the kernel
        or the manager refuses a value.
        """
        told: dict[str, None] = {}
        for i in [each for each in self._of(service) if each.pid is not None or each.spec.is_foreign]:
            held = await self._instances.hold(i.name) or self._hold_process(i)
            if held.refused:
                name = held.refused[0]
                raise BlackholeError(f"cannot hold {i.name} to its limit of {name}: {held.not_held[name]}")
            told.update(dict.fromkeys(f"{name}: not held: {why}" for name, why in held.not_held.items()))
        return "; ".join(told) or "held"

    def _hold_process(self, i: Running) -> Held:
        spec = self._limits.effective(i.spec)
        prepared = self._limits.prepare(i.name, spec.limits, spec.disk_paths)
        self._instances.limits_held(i.name, prepared.held_by, prepared.not_held)
        return prepared

    def prioritise(self, service: str) -> str:
        """Gives the trees of the running instances their priorities. Raises BlackholeError when the kernel refuses."""
        for i in self._running(service):
            limits = self._limits.effective(i.spec).limits
            for name, why in self._limits.prioritise(i.name, i.pid or 0, limits).items():
                raise BlackholeError(f"cannot set the {name} of {i.name}: {why}")
        return "set"

    def _of(self, service: str) -> list[Running]:
        return [i for i in self._instances.picture.values() if i.service == service]

    def _running(self, service: str) -> list[Running]:
        return [i for i in self._of(service) if i.pid is not None]

    def _members(self, i: Running) -> Sequence[int]:
        return self._limits.members(i.name) or priority.descendants(i.pid)

    # ---- questions -------------------------------------------------------------------------------------------------

    def latest_override(self, service: str) -> Override | None:
        """What was last set at run time of a service."""
        return latest(self._overrides.of(service))

    async def read(self, names: Sequence[str] = ()) -> list[InstanceResources]:
        """What instances use of what they may. Raises NotFound."""
        picture = self._instances.picture
        seen = [(picture[name], self._usage.of(name)) for name in self._instances.names(tuple(names))]
        return await asyncio.to_thread(lambda: [self._read(i, sample) for i, sample in seen])

    def _read(self, i: Running, sample: Sample | None) -> InstanceResources:
        spec = self._limits.effective(i.spec)
        alive = i.pid is not None
        counted = self._limits.counters(i.name)
        fds, fds_limit = _nearest_to_fds(self._members(i)) if alive else (None, None)
        used = sample if alive else None
        return InstanceResources(
            service=i.service,
            instance=i.name,
            pid=i.pid,
            limits=tuple(self._limit_states(i.name, spec)),
            memory_bytes=used.memory_bytes if used else None,
            cpu_percent=used.cpu_percent if used else None,
            threads=used.threads if used else None,
            fds=fds,
            fds_limit=fds_limit,
            read_bytes_per_second=used.read_bytes_per_second if used else None,
            write_bytes_per_second=used.write_bytes_per_second if used else None,
            cpu_periods=_whole(counted.cpu_periods),
            cpu_throttled=_whole(counted.cpu_throttled),
            cpu_throttled_seconds=counted.cpu_throttled_seconds,
            memory_hits=_whole(counted.memory_hits),
            oom_kills=_whole(counted.oom_kills),
            disks=tuple(_disks(spec.disk_paths)),
            contract=spec.contract,
            on_pressure=spec.on_pressure,
        )

    def _limit_states(self, instance: str, spec: ServiceSpec) -> Iterable[LimitState]:
        overrides = self._overrides.of(spec.name)
        for name in (*LIMITS, *PRIORITIES):
            value = getattr(spec.limits, name)
            override = overrides.get(name)
            if value is None and override is None:
                continue
            held_by, problem = ("", "") if value is None else self._holder(instance, name, spec)
            yield LimitState(
                name=name,
                amount=None if isinstance(value, str) or value is None else float(value),
                word=value if isinstance(value, str) else "",
                override_by=override.actor if override else "",
                override_ns=override.time_ns if override else 0,
                held_by=held_by,
                not_held=problem,
            )

    def _holder(self, instance: str, name: str, spec: ServiceSpec) -> tuple[str, str]:
        if name == "ionice":
            return SCHEDULER, _ignored_ionice(spec.disk_paths)
        if name == "nice":
            return SCHEDULER, (self._limits.not_held(instance) or {}).get(name, "")
        if spec.is_foreign:
            held = self._instances.held(instance)
            return (held.held_by, held.not_held.get(name, "")) if held else ("", "its manager has not been asked yet")
        held_by, problem = self._on_this_host(name)
        told = self._limits.not_held(instance)
        return held_by, problem if told is None else told.get(name, "")

    def _on_this_host(self, name: str) -> tuple[str, str]:
        """What holds a limit here, and what of it is not held."""
        held_by, problem = self._limits.holder(name)
        if held_by == CGROUP1 and name in DEVICE_LIMITS:
            problem = cgroup1.UNHELD_WRITES
        return held_by, problem


def _ignored_ionice(paths: Iterable[str]) -> str:
    """Why a priority of the disks does nothing there."""
    for path in paths:
        kind = scheduler(device_of(path))
        if kind and kind not in PRIORITY_SCHEDULERS:
            return f"the disk of {path} has the scheduler {kind}, which looks at no priorities"
    return ""


def _nearest_to_fds(pids: Iterable[int]) -> tuple[int | None, int | None]:
    """Open file descriptors and their limit, of the process that is nearest to its limit."""
    nearest: tuple[int | None, int | None] = (None, None)
    most = -1.0
    for pid in pids:
        with suppress(OSError):
            count = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
            if limit > 0 and count / limit > most:
                nearest, most = (count, limit), count / limit
    return nearest


def _disks(paths: Iterable[str]) -> Iterable[DiskUse]:
    for path in paths:
        place = Path(path)
        there = next((each for each in (place, *place.parents) if each.exists()), Path("/"))
        with suppress(OSError):
            seen = os.statvfs(there)
            total = (seen.f_blocks - seen.f_bfree + seen.f_bavail) * seen.f_frsize
            yield DiskUse(path, device_of(path), total, seen.f_bavail * seen.f_frsize)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
