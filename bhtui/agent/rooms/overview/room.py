"""The overview of the host. What reads many files does so in a thread; programs that are asked have deadlines."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bhtui.core.overview import Container, Overview, Unit

from . import host, procfs, ranking, sockets, units
from .model import Containers, NoContainers, Ours
from .place import SHORT
from .ranking import Reading

INTERVAL = 0.5
"""Seconds between the two readings that tell what is busy."""
KEPT_SECONDS = 15.0
"""How long a reading is kept, so that whoever asks again has the time since then measured and waits for nothing."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """One reading."""

    at: float
    """By the monotonic clock."""
    processes: dict[int, procfs.Seen]
    counters: host.Counters


class OverviewRoom:
    """Answers the question; keeps one reading for a few seconds and nothing else."""

    def __init__(
        self, ours: Callable[[], Ours], containers: Containers | None = None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._ours, self._clock = ours, clock
        self._containers = containers or NoContainers()
        self._last: _Moment | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        self._asking = asyncio.Lock()

    def close(self) -> None:
        """Lets go of the reading."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._last = None

    async def read(self) -> Overview:
        """Everything, within a few seconds. Those who ask at the same time wait for each other."""
        async with self._asking:
            (found, told), (blocks, silent), (before, after) = await asyncio.gather(
                self._containers.list(), self._units(), self._two_moments()
            )
            self._keep(after)
            ours = self._ours()
            shown = [each.shown for each in found]
            return await asyncio.to_thread(self._made, before, after, ours, blocks, shown, (*silent, *told))

    async def _two_moments(self) -> tuple[_Moment, _Moment]:
        before = self._last
        if before is None:
            before = await asyncio.to_thread(_moment)
        await asyncio.sleep(max(0.0, before.at + INTERVAL - time.monotonic()))
        return before, await asyncio.to_thread(_moment)

    def _keep(self, moment: _Moment) -> None:
        self.close()
        self._last = moment
        self._forgetting = asyncio.get_running_loop().call_later(KEPT_SECONDS, self.close)

    async def _units(self) -> tuple[list[Unit], list[str]]:
        """Those of the system, and of the user's own manager where the agent is no root's; and what did not answer."""
        uid = os.getuid()
        if not units.is_systemd_here():
            return [], ["units: systemd does not run this host"]
        asked = [units.ask()] + ([units.ask(user=True)] if uid else [])
        system, *own = await asyncio.gather(*asked)
        found = [units.to_unit(block) for block in system.units]
        name = procfs.user_name(uid)
        found += [units.to_unit(block, name) for each in own for block in each.units]
        return found, [f"units: {system.problem}"] if system.problem else []

    def _made(
        self,
        before: _Moment,
        after: _Moment,
        ours: Ours,
        known: Sequence[Unit],
        told: Sequence[Container],
        silent: Sequence[str],
    ) -> Overview:
        """In a thread."""
        seconds = after.at - before.at
        reading = Reading(before.processes, after.processes, seconds, ours)
        machine = host.machine(before.counters, after.counters, seconds, len(after.processes))
        containers = ranking.containers(reading, told)
        names = {each.id[:SHORT]: each.name for each in containers}
        listening = sockets.listening()
        holders = sockets.holders([each.inode for each in listening], after.processes)
        hidden = sum(each.inode not in holders for each in listening)
        return Overview(
            machine=machine,
            services=ours.services,
            failed=ranking.failed(known, ours),
            units=ranking.busiest_units(reading, known, procfs.user_name),
            containers=containers,
            listeners=ranking.listeners(reading, listening, holders, procfs.user_name, names),
            processes=tuple(
                ranking.process(
                    reading, pid, procfs.command(pid), procfs.user_name(reading.after[pid].uid),
                    machine.uptime_seconds, names,
                )
                for pid in ranking.busiest_pids(reading)
            ),
            unseen=(*silent, *_hidden_sockets(hidden, len(listening))),
            time_ns=self._clock(),
        )  # fmt: skip


def _moment() -> _Moment:
    return _Moment(time.monotonic(), procfs.processes(), host.counters())


def _hidden_sockets(hidden: int, count: int) -> list[str]:
    """Why the process of a socket is not known."""
    if not hidden:
        return []
    what = f"the processes of {hidden} of {count} listening sockets"
    if os.geteuid():
        return [f"{what}: they are other users'; run the agent as root to see them"]
    return [f"{what}: they are the kernel's, in another container, or were not found in time"]
