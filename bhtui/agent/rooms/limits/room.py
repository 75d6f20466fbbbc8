"""The room of limits: makes the groups an instance runs in, sets its limits, and removes the groups afterwards.

Every instance gets its groups, also without limits: they are what makes it possible to measure and to stop its whole
tree. They are `<hierarchy>/blackhole-<8 hex of the run folder's SHA-256>/<instance>`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.spec import LimitsSpec, ServiceSpec
from bhtui.core.units import format_size

from . import cgroup1, cgroup2, fs, leftovers, priority
from .detect import Hierarchies, detect, folders_of
from .device import devices_of
from .model import CGROUP1, CGROUP2, RLIMITS, Counters, Prepared

log = logging.getLogger(__name__)

HELD = ("memory", "cpu", "pids")
DEVICE_LIMITS = ("iops", "bandwidth")
BACKSTOP_FACTOR = 2
BACKSTOP_MARGIN = 256 << 20
"""Without cgroups each process may have factor times the limit and this much of private writable memory. That counts
what is reserved and unused too, as the stacks of threads: a tighter bound would end processes that are in their limit.
"""
REMOVE_TRIES = 8
REMOVE_DELAY = 0.02
"""Seconds to the second try; each later one waits twice as long."""


class Limits:
    """The groups of one installation."""

    def __init__(
        self,
        run_dir: Path,
        hierarchies: Hierarchies | None = None,
        effective: Callable[[ServiceSpec], ServiceSpec] = lambda spec: spec,
    ) -> None:
        """`effective`: a declared service with the limits that hold, those set at run time included."""
        self.effective = effective
        self.hierarchies = detect(run_dir) if hierarchies is None else hierarchies
        self._claims = leftovers.claim(self.hierarchies.folders)
        self._prepared: dict[str, Prepared] = {}
        self._removing: dict[str, asyncio.TimerHandle] = {}
        self._followed: dict[str, tuple[Path, ...]] = {}
        """Groups that others made, of units and containers: read, never written or removed."""

    @property
    def held_by(self) -> str:
        """What holds limits on this host."""
        found = {version for name in HELD if (version := self.holder(name)[0])}
        return " + ".join(sorted(found)) or RLIMITS

    def holder(self, name: str) -> tuple[str, str]:
        """What holds a limit on this host, or empty and why nothing does."""
        where = self.hierarchies
        if where.v2 is not None and cgroup2.CONTROLLERS[name] in where.v2_controllers:
            return CGROUP2, ""
        if cgroup1.CONTROLLERS[name] in where.v1:
            return CGROUP1, ""
        return "", where.reason or f"there is no cgroup controller for {name} here"

    def prepare(self, instance: str, limits: LimitsSpec, paths: Sequence[str] = ()) -> Prepared:
        """Makes the groups of an instance and sets its limits, also of one that runs. Raises BlackholeError.

        `paths` are on the disks that limits on disks mean. A limit that cannot be held here does not fail: it is named
        in `not_held`.
        """
        _check_name(instance)
        self._stop_removing(instance)
        groups = tuple(self._make(folder / instance) for folder in self.hierarchies.folders)
        held: set[str] = set()
        not_held: dict[str, str] = {}
        refused: list[str] = []
        devices, lost = devices_of(paths) if limits.iops or limits.bandwidth else (set(), [])
        for name in (*HELD, *DEVICE_LIMITS):
            version, problem = self.holder(name)
            failure = self._set(version, name, instance, limits, devices)
            if _of(limits, name) is None:
                continue
            if failure:
                refused.append(name)
            if name in DEVICE_LIMITS and not problem:
                problem = _not_on_devices(version, devices, lost)
            if problem or failure:
                not_held[name] = failure or problem
            if version and not failure and (devices or name in HELD):
                held.add(version)
        if (why := self._weigh(instance, limits)) and limits.nice is not None:
            not_held["nice"] = why
        rlimits: dict[str, tuple[int, int]] = {}
        if "memory" in not_held and limits.memory is not None:
            backstop = limits.memory * BACKSTOP_FACTOR + BACKSTOP_MARGIN
            rlimits["data"] = (backstop, backstop)
            held.add(RLIMITS)
            not_held["memory"] += f"; each process alone is stopped by an rlimit at {format_size(backstop)}"
        made = Prepared(tuple(map(str, groups)), rlimits, " + ".join(sorted(held)), not_held, tuple(refused))
        self._prepared[instance] = made
        return made

    def _weigh(self, instance: str, limits: LimitsSpec) -> str:
        """Gives the instance its share of the processors beside other groups; why the kernel refuses it, or empty."""
        version, _ = self.holder("cpu")
        where = self.hierarchies
        try:
            if version == CGROUP2 and where.v2 is not None:
                cgroup2.set_weight(where.v2 / instance, limits)
            elif version == CGROUP1:
                cgroup1.set_weight(where.v1["cpu"] / instance, limits)
        except OSError as error:
            return f"the kernel does not weigh it against other services: {error.strerror}"
        return ""

    def not_held(self, instance: str) -> Mapping[str, str] | None:
        """What of the limits of an instance was not held when they were last set; None: this agent has not set them."""
        prepared = self._prepared.get(instance)
        return prepared.not_held if prepared else None

    def _make(self, group: Path) -> Path:
        try:
            group.mkdir(exist_ok=True, parents=True)
        except OSError as error:
            raise BlackholeError(
                f"cannot make the cgroup {group}: {error.strerror}; is its file system still mounted?"
            ) from error
        return group

    def _set(self, version: str, name: str, instance: str, limits: LimitsSpec, devices: Collection[str]) -> str:
        """Sets one limit; why the kernel refuses it, or empty."""
        where = self.hierarchies
        try:
            if version == CGROUP2 and where.v2 is not None:
                if name in HELD:
                    cgroup2.SETTERS[name](where.v2 / instance, limits)
                else:
                    cgroup2.DEVICE_SETTERS[name](where.v2 / instance, limits, devices)
            elif version == CGROUP1:
                group = where.v1[cgroup1.CONTROLLERS[name]] / instance
                if name in HELD:
                    cgroup1.SETTERS[name](group, limits)
                else:
                    cgroup1.DEVICE_SETTERS[name](group, limits, devices)
        except OSError as error:
            return f"the kernel refuses it: {error.strerror}"
        return ""

    def follow(self, instance: str, cgroup: str) -> None:
        """The instance is in a group that others made (`/system.slice/nginx.service`); empty: in none any more."""
        self._followed.pop(instance, None)
        if cgroup:
            self._followed[instance] = folders_of(cgroup)

    def counters(self, instance: str) -> Counters:
        """What the kernel has counted for an instance since its groups were made."""
        if instance in self._followed:
            return cgroup2.counters(self._followed[instance][0]) if self._followed[instance] else Counters()
        where = self.hierarchies
        one = cgroup1.counters({name: folder / instance for name, folder in where.v1.items()})
        if where.v2 is None or not where.v2_controllers:
            return one
        two = cgroup2.counters(where.v2 / instance)
        return Counters(*(a if b is None else b for a, b in zip(astuple(one), astuple(two), strict=True)))

    def groups(self, instance: str) -> tuple[str, ...]:
        """The folders of the groups an instance has now."""
        found = self._followed.get(instance) or [folder / instance for folder in self.hierarchies.folders]
        return tuple(str(group) for group in found if group.is_dir())

    def remove(self, instance: str) -> None:
        """Removes the groups of an instance whose tree is gone; tries again for a while when processes are just ending.

        To be called in the agent's loop. What is left after the last try is removed by the next `sweep`.
        """
        _check_name(instance)
        self._prepared.pop(instance, None)
        self._stop_removing(instance)
        self._try_to_remove(instance, 1)

    def _try_to_remove(self, instance: str, attempt: int) -> None:
        self._removing.pop(instance, None)
        gone = [fs.remove(folder / instance) for folder in self.hierarchies.folders]
        if not all(gone) and attempt < REMOVE_TRIES:
            delay = REMOVE_DELAY * 2 ** (attempt - 1)
            again = asyncio.get_running_loop().call_later(delay, self._try_to_remove, instance, attempt + 1)
            self._removing[instance] = again

    def _stop_removing(self, instance: str) -> None:
        """So that no late try takes away groups that are about to be used again."""
        if (pending := self._removing.pop(instance, None)) is not None:
            pending.cancel()

    def sweep(self, living: Collection[str]) -> tuple[str, ...]:
        """Removes the groups of all instances but the living ones, as at the agent's start.

        Returns the instances whose groups still have processes in them.
        """
        busy = set()
        for folder in self.hierarchies.folders:
            for group in fs.groups_in(folder):
                if group.name not in living and not fs.remove(group):
                    busy.add(group.name)
        return tuple(sorted(busy))

    async def sweep_leftovers(self) -> None:
        """Removes the folders of installations that are gone. Takes its time; run once, beside all else."""
        if removed := await leftovers.sweep(self.hierarchies.folders):
            log.info("removed %d empty cgroups that installations left behind whose home is gone", removed)

    def members(self, instance: str) -> tuple[int, ...]:
        """The processes of an instance, as its groups know them; none where there are no groups."""
        return tuple(sorted({pid for group in self.groups(instance) for pid in fs.members(Path(group))}))

    def prioritise(self, instance: str, pid: int, limits: LimitsSpec) -> dict[str, str]:
        """Gives the tree of a running instance its nice and ionice; what was not set, and why."""
        ours = instance not in self._followed
        if ours:
            self._weigh(instance, limits)
        return priority.set_tree(lambda: self.members(instance) or priority.descendants(pid), limits, ours)

    def oom_kills(self, instance: str) -> int:
        """How many processes of an instance the kernel has killed for want of memory since its groups were made."""
        where = self.hierarchies
        kills = cgroup2.oom_kills(where.v2 / instance) if "memory" in where.v2_controllers and where.v2 else 0
        return kills + (cgroup1.oom_kills(where.v1["memory"] / instance) if "memory" in where.v1 else 0)

    def close(self) -> None:
        """Removes every group without processes, and the folders of this installation when nothing is left in them."""
        for instance in tuple(self._removing):
            self._stop_removing(instance)
        self.sweep(())
        for claim in self._claims:
            os.close(claim)
        self._claims = ()
        for folder in self.hierarchies.folders:
            try:
                folder.rmdir()
            except OSError:
                continue  # instances still run in it


def _not_on_devices(version: str, devices: Collection[str], lost: Sequence[str]) -> str:
    """What of a limit on disks is not held although there is a controller for it."""
    problems = [f"{path} is on no disk of this host (in memory, or on a network)" for path in lost]
    if version == CGROUP1 and devices:
        problems.append(cgroup1.UNHELD_WRITES)
    return "; ".join(problems)


def _of(limits: LimitsSpec, name: str) -> float | None:
    value: float | None = getattr(limits, name)
    return value


def _check_name(instance: str) -> None:
    if not instance or "/" in instance or instance.startswith("."):
        raise UsageError(f"cannot use {instance!r} as the name of an instance: it must be the name of a folder")
