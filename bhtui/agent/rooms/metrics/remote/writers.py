"""Every remote write that is declared, each with a buffer, a sender and troubles of its own."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bhtui.agent.memory import Tell
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.spec import Spec

from ..model import Row
from .room import RemoteWriter


class RemoteWriters:
    """Nothing runs while the configuration in force has no `metrics.remote_write`."""

    def __init__(
        self, folder: Path, host: str, version: str, tell: Tell, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.rows: Callable[[], Mapping[str, Sequence[Row]]] = dict
        """Every figure now; the wiring gives it."""
        self._folder = folder
        self._host, self._version, self._tell, self._clock = host, version, tell, clock
        self._writers: dict[str, RemoteWriter] = {}
        self._wanted: tuple[str, ...] = ()
        self._changed = asyncio.Event()

    def follow(self, spec: Spec) -> None:
        """As this configuration wants it from now on."""
        wanted = {each.name: each for each in spec.metrics.remote_write}
        self._wanted = tuple(wanted)
        for name in wanted.keys() - self._writers.keys():
            made = RemoteWriter(self._folder / name, self._host, self._version, self._tell, self._clock)
            self._writers[name] = made
            made.rows = lambda: self.rows()
        for name, writer in self._writers.items():
            writer.follow(wanted.get(name))
        self._changed.set()

    @property
    def statuses(self) -> list[RemoteWriteStatus]:
        """How each goes, in the order of the configuration."""
        found = [self._writers[name].status for name in self._wanted]
        return [each for each in found if each is not None]

    def figures(self) -> dict[str, list[Row]]:
        """For the endpoint, and for what is sent itself."""
        found: dict[str, list[Row]] = {}
        for name in self._wanted:
            for family, rows in self._writers[name].figures().items():
                found.setdefault(family, []).extend(rows)
        return found

    async def watch(self) -> None:
        """Runs for as long as the agent does: a task of the wiring."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                for name, task in list(running.items()):
                    if task.done():
                        await running.pop(name)  # raises what went wrong there
                await asyncio.to_thread(self._tidy, {*self._wanted, *running})
                for name in self._wanted:
                    if name not in running:
                        running[name] = asyncio.create_task(self._writers[name].watch(), name=f"remote write to {name}")
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait([changed, *running.values()], return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _tidy(self, kept: set[str]) -> None:
        """Removes what waits for one that was declared when no agent ran to see it go."""
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if path.name not in kept:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
