"""From two readings of the processes to what is worth showing: sums by unit and container, the busiest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bhtui.core.overview import AGENT, Container, Listener, Process, Unit

from .model import Ours
from .place import SHORT
from .procfs import TICKS, Seen, ancestors
from .sockets import Listening

MOST = 20
"""Of each list of what is busiest."""
MOST_FAILED = 100
BUSY_KERNEL = 5.0
"""Per cent of a core from which on a thread of the kernel is worth a row."""
MOST_CONTAINERS = 200
MOST_LISTENERS = 300
T = TypeVar("T")
Processes = Mapping[int, Seen]


@dataclass(frozen=True, slots=True)
class Reading:
    """Every process at two moments."""

    before: Processes
    after: Processes
    seconds: float
    """Between the two."""
    ours: Ours

    def cpu_percent(self, pid: int) -> float | None:
        """Of one core; None for one that is new."""
        old, new = self.before.get(pid), self.after[pid]
        if old is None or old.start != new.start or self.seconds <= 0:
            return None
        return max(0.0, 100 * (new.cpu_seconds - old.cpu_seconds) / self.seconds)

    def instance(self, pid: int) -> str:
        """The instance of ours that a process belongs to, or `agent`."""
        place = self.after[pid].place if pid in self.after else None
        if place is not None and place.instance and place.installation == self.ours.installation:
            return place.instance
        by_pid = {main: name for name, main in self.ours.instances.items()}
        for each in ancestors(pid, self.after):
            if each in by_pid:
                return by_pid[each]
            if each in self.ours.agent:
                return AGENT
        return ""


@dataclass(frozen=True, slots=True)
class Sum:
    """What processes use together."""

    cpu_percent: float | None = None
    memory_bytes: int = 0
    processes: int = 0


def sums(reading: Reading, key: Callable[[Seen], T | None]) -> dict[T, Sum]:
    """By what `key` says of each process; None: it is left out."""
    found: dict[T, Sum] = {}
    for each in reading.after.values():
        if (group := key(each)) is None:
            continue
        old, cpu = found.get(group, Sum()), reading.cpu_percent(each.pid)
        total = old.cpu_percent if cpu is None else (old.cpu_percent or 0.0) + cpu
        found[group] = Sum(total, old.memory_bytes + each.rss_bytes, old.processes + 1)
    return found


def failed(units: Iterable[Unit], ours: Ours) -> tuple[Unit, ...]:
    """Those that failed, the latest first."""
    found = [replace(each, service=ours.units.get(each.name, "")) for each in units if each.state == "failed"]
    return tuple(sorted(found, key=lambda each: (-each.since_ns, each.name))[:MOST_FAILED])


def busiest_units(
    reading: Reading, known: Iterable[Unit], user_name: Callable[[int], str], most: int = MOST
) -> tuple[Unit, ...]:
    """The units whose processes use most; what systemd says of them beside it."""
    by_name = {(each.name, each.user): each for each in known}
    found = []
    for (name, uid), used in sums(reading, lambda each: _unit_of(each)).items():
        user = "" if uid is None else user_name(uid)
        unit = by_name.get((name, user), Unit(name, user=user))
        # Where the kernel counts the unit's memory that is more than what its processes have mapped.
        memory = used.memory_bytes if unit.memory_bytes is None else unit.memory_bytes
        found.append(
            replace(
                unit,
                cpu_percent=used.cpu_percent,
                memory_bytes=memory,
                processes=used.processes,
                service=reading.ours.units.get(name, ""),
            )
        )
    return tuple(sorted(found, key=_business)[:most])


def _unit_of(each: Seen) -> tuple[str, int | None] | None:
    return (each.place.unit, each.place.user_id) if each.place.unit else None


def containers(reading: Reading, told: Iterable[Container], most: int = MOST_CONTAINERS) -> tuple[Container, ...]:
    """Those that the engines tell, and those whose processes are seen though no engine could be asked.

    What an engine does not tell of its use is summed over the processes.
    """
    used = sums(reading, lambda each: (each.place.container, each.place.engine) if each.place.container else None)
    by_id = {key[0]: total for key, total in used.items()}
    found = []
    for each in told:
        total = by_id.pop(each.id[:SHORT], Sum())
        cpu = total.cpu_percent if each.cpu_percent is None else each.cpu_percent
        memory = (total.memory_bytes or None) if each.memory_bytes is None else each.memory_bytes
        found.append(replace(each, cpu_percent=cpu, memory_bytes=memory, processes=total.processes))
    engines = {key[0]: key[1] for key in used}
    for id_, total in by_id.items():
        found.append(
            Container(id_, id_, engines[id_], "", "", "", total.cpu_percent, total.memory_bytes, total.processes)
        )
    marked = [replace(each, service=reading.ours.container(each.name, each.id)) for each in found]
    return tuple(sorted(marked, key=lambda each: (each.state == "exited", *_business(each)))[:most])


def _business(each: Unit | Container | Process) -> tuple[float, int, str]:
    """Sorts what uses most processor first, then most memory."""
    return -round(each.cpu_percent or 0.0, 1), -(each.memory_bytes or 0), each.name


def busiest_pids(reading: Reading, most: int = MOST) -> list[int]:
    """The processes that use most processor, then most memory; the kernel's own are left out unless they are busy."""

    def rank(each: Seen) -> tuple[float, int]:
        return -round(reading.cpu_percent(each.pid) or 0.0, 1), -each.rss_bytes

    wanted = (
        each
        for each in reading.after.values()
        if not each.is_kernel or (reading.cpu_percent(each.pid) or 0) > BUSY_KERNEL
    )
    return [each.pid for each in sorted(wanted, key=rank)[:most]]


def process(
    reading: Reading, pid: int, command: str, user: str, uptime_seconds: float, container: Mapping[str, str]
) -> Process:
    """One of the busiest. `container` has names by the beginnings of ids."""
    seen = reading.after[pid]
    return Process(
        pid=pid,
        name=seen.name,
        user=user,
        cpu_percent=reading.cpu_percent(pid),
        memory_bytes=seen.rss_bytes,
        threads=seen.threads,
        age_seconds=max(0.0, uptime_seconds - seen.start / TICKS),
        command=command or f"[{seen.name}]",
        unit=seen.place.unit,
        container=container.get(seen.place.container, seen.place.container),
        instance=reading.instance(pid),
    )


def listeners(
    reading: Reading,
    found: Iterable[Listening],
    holders: Mapping[int, int],
    user_name: Callable[[int], str],
    container: Mapping[str, str],
) -> tuple[Listener, ...]:
    """Each listening socket with its process: the first of several with the same name that descend from each other."""
    made = []
    for each in found:
        pid = holders.get(each.inode)
        if pid is None or pid not in reading.after:
            made.append(Listener(each.protocol, each.shown, each.port, user=user_name(each.uid)))
            continue
        seen = reading.after[first_of_its_name(pid, reading)]
        made.append(
            Listener(
                each.protocol,
                each.shown,
                each.port,
                seen.pid,
                seen.name,
                user_name(seen.uid),
                seen.place.unit,
                container.get(seen.place.container, seen.place.container),
                reading.instance(seen.pid),
            )
        )
    # What others may speak to comes before what only this host may.
    order = sorted(made, key=lambda each: (each.protocol, each.address.startswith(("127.", "[::1]")), each.port))
    return tuple(order[:MOST_LISTENERS])


def first_of_its_name(pid: int, reading: Reading) -> int:
    """The uppermost of a process and its ancestors that are called the same: the master of a worker. Not beyond its
    instance, for the keeper above it is called as every service in Python."""
    of, name, top = reading.after, reading.after[pid].name, pid
    whose = reading.instance(pid)
    for each in ancestors(pid, of):
        if of[each].name != name or each == 1 or reading.instance(each) != whose:
            break
        top = each
    return top
