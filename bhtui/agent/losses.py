"""What is in no log: an event when a full disk took lines, one when a folder of ours has no room left, and what is
over a rate limit, counted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.agent.events.log import EventLog
from bhtui.agent.keeper import KeeperError
from bhtui.agent.ratelimits import RateLimits
from bhtui.core.event import EventKind
from bhtui.core.units import format_size

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
FULL_BYTES = 4 << 20
"""Less free than this is full: there must be room left to write that there is none."""
FULL_SHARE = 0.02
"""On a small file system: less than this share of it."""


class Losses:
    """Looks at the keeper's counts (`stats`) and at the folders' file systems, every LOOK_SECONDS."""

    def __init__(
        self,
        stats: Callable[[], Awaitable[Mapping[str, Any]]],
        events: EventLog,
        folders: Sequence[Path],
        mirrored: Callable[[], Mapping[str, Mapping[str, Any]]] = dict,
    ) -> None:
        """`mirrored`: the `limited` of the logs that the agent itself writes; it blocks."""
        self.limits, self._mirrored = RateLimits(events), mirrored
        self._stats, self._events, self._folders = stats, events, folders
        self._lost: Counter[str] = Counter()
        """Lines by path, since this agent was begun."""
        self._dropped: dict[str, int] | None = None
        self._full: set[Path] = set()

    async def watch(self) -> None:
        """Runs for as long as the agent does."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Looks once, and appends what is new."""
        self._look_at_disks()
        mirrored = await asyncio.to_thread(self._mirrored)
        try:
            stats = await self._stats()
        except KeeperError as error:
            log.debug("the keeper's counts are not known now: %s", error)
            return
        logs = stats["logs"]
        for path, each in logs.items() if self._dropped is not None else ():
            # Another keeper, or a file that was closed meanwhile, begins to count anew.
            before = (self._dropped or {}).get(path, 0)
            count = each["dropped"] - (before if before <= each["dropped"] else 0)
            if count:
                self._lost[path] += count
                self._tell_loss(Path(path), count, each["problem"])
        self._dropped = {path: each["dropped"] for path, each in logs.items()}
        self.limits.take({**stats["limited"], **mirrored})

    def figures(self) -> dict[str, list[tuple[tuple[str, ...], float]]]:
        """For the Prometheus endpoint: labels and value, by metric."""
        lost = [((Path(path).parent.name, Path(path).stem, "disk"), lines) for path, lines in self._lost.items()]
        return {"blackhole_log_dropped_lines_total": [*self.limits.rows(), *lost]}

    def _tell_loss(self, path: Path, count: int, reason: str) -> None:
        message = f"{count} lines of {path.stem} could not be kept: {reason}"
        log.warning("%s", message)
        self._events.append(EventKind.LOGS_LOST, path.stem, message, {"count": count, "reason": reason})

    def _look_at_disks(self) -> None:
        """One event for a file system, however many of the folders are on it, once until there is room again."""
        seen: set[int] = set()
        for folder in self._folders:
            try:
                device, (free, size) = folder.stat().st_dev, room(folder)
            except OSError as error:
                log.debug("cannot look at %s: %s", folder, error)
                continue
            is_full = free < min(FULL_BYTES, size * FULL_SHARE)
            if is_full and folder not in self._full and device not in seen:
                self._tell_full(folder, free, size)
            seen.add(device)
            (self._full.add if is_full else self._full.discard)(folder)

    def _tell_full(self, folder: Path, free: int, size: int) -> None:
        message = (
            f"the disk of {folder} is full: {format_size(free)} of {format_size(size)} are free; services run on, "
            "what they print is lost; free some space"
        )
        log.error("%s", message)
        self._events.append(EventKind.DISK_FULL, str(folder), message, {"free_bytes": free, "size_bytes": size})


def room(folder: Path) -> tuple[int, int]:
    """Bytes that this user may still write, and the size of the file system. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
