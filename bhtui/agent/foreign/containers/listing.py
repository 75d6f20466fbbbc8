"""Every container of the host, for whoever wants to see what there is without having declared any of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bhtui.core.errors import BlackholeError

from . import groups
from .container import Status, Summary
from .engine import Engine
from .sockets import Place, places

LIST_SECONDS = 5.0
UP = (Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found."""

    containers: tuple[Summary, ...] = ()
    """By engine and name. With CPU from the second listing on: it is what was used between two of them."""
    troubles: tuple[str, ...] = ()
    """Why an engine whose socket is there could not be asked; nothing for engines that are not installed."""


class ContainerList:
    """Lists the containers of all engines. Each listing is one question to each; nothing runs between them."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        uid: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        root: Path = groups.ROOT,
    ) -> None:
        self._places = places(environ, os.getuid() if uid is None else uid)
        self._clock, self._root = clock, root
        self._used: dict[str, tuple[float, float]] = {}
        """Container to the time it was last listed and the CPU seconds it had used by then."""

    async def list(self) -> Listing:
        """Every container there is now. Does not raise; ends within LIST_SECONDS."""
        said = await asyncio.gather(*(_ask(place) for place in there(self._places)))
        found = [one for answer in said if isinstance(answer, list) for one in answer]
        measured = await asyncio.to_thread(self._measure, found)
        ordered = tuple(sorted(measured, key=lambda one: (one.engine, one.name)))
        return Listing(ordered, tuple(answer for answer in said if isinstance(answer, str)))

    def _measure(self, found: Sequence[Summary]) -> Sequence[Summary]:
        used: dict[str, tuple[float, float]] = {}
        measured = [self._measured(one, used) if one.status in UP else one for one in found]
        self._used = used
        return measured

    def _measured(self, one: Summary, used: dict[str, tuple[float, float]]) -> Summary:
        now, percent = self._clock(), None
        if (seconds := groups.cpu_seconds(one.id, self._root)) is not None:
            used[one.id] = now, seconds
            then, before = self._used.get(one.id, (now, seconds))
            percent = max(0.0, 100 * (seconds - before) / (now - then)) if now > then else None
        return replace(one, cpu_percent=percent, memory_bytes=groups.memory_bytes(one.id, self._root))


def there(known: Sequence[Place]) -> list[Place]:
    """Those whose socket is there, each socket once: one may be a link to another."""
    found: dict[tuple[int, int], Place] = {}
    for place in known:
        try:
            about = Path(place.path).stat()
        except PermissionError:
            continue  # in a folder of somebody else
        except OSError:
            continue  # not installed
        found.setdefault((about.st_dev, about.st_ino), place)
    return list(found.values())


async def _ask(place: Place) -> list[Summary] | str:
    """The containers of one engine, or why they cannot be had."""
    try:
        async with asyncio.timeout(LIST_SECONDS):
            return await Engine(place).list()
    except TimeoutError:
        return f"cannot list the containers of {place.engine} at {place.path}: it does not answer"
    except BlackholeError as error:
        return str(error)
