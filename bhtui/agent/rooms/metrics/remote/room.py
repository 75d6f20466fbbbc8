"""Takes every figure at its interval, keeps it on disk until it is sent, and tells how that goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bhtui.agent.memory import Tell
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.spec import RemoteWriteSpec

from ..model import Row
from .sender import Sender
from .spool import Spool
from .verdicts import Told, judge
from .wire import Encoder

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""From one look at how it goes to the next."""
TARGET = "metrics.remote_write"


class RemoteWriter:
    """One of them. It ends when the configuration in force does not have it any more."""

    def __init__(
        self, folder: Path, host: str, version: str, tell: Tell, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.rows: Callable[[], Mapping[str, Sequence[Row]]] = dict
        """Every figure now; the wiring gives it."""
        self._folder, self._host, self._version, self._tell, self._clock = folder, host, version, tell, clock
        self._spec: RemoteWriteSpec | None = None
        self._changed = asyncio.Event()
        self._spool: Spool | None = None
        self._sender: Sender | None = None
        self._encoder = Encoder({})
        self._turn = threading.Lock()
        self._told = Told()
        self._dropped = 0
        self._kept_error = ("", 0)
        """Why samples could not be kept the last time, and when."""

    def follow(self, spec: RemoteWriteSpec | None) -> None:
        """As it is wanted from now on. What waits goes to the new address; where it is not wanted, nothing is kept."""
        if spec != self._spec:
            self._spec = spec
            self._changed.set()

    @property
    def status(self) -> RemoteWriteStatus | None:
        """How it goes; None: none is declared."""
        if self._spec is None:
            return None
        sender, spool = self._sender, self._spool
        status = sender.status if sender is not None else RemoteWriteStatus(self._spec.name, self._spec.url)
        samples, size = spool.total if spool is not None else (0, 0)
        oldest = spool.oldest() if spool is not None else None
        behind = max(0.0, self._clock() / 1e9 - oldest.time_ms / 1e3) if oldest is not None else 0.0
        late = behind > max(self._spec.warn_after, 2 * self._spec.interval) and status.state != "failing"
        why, at_ns = self._kept_error
        return replace(
            status, dropped=self._dropped, behind_samples=samples, behind_bytes=size, behind_seconds=behind,
            state="lagging" if late else status.state,
            last_error=why if at_ns > status.last_error_ns else status.last_error,
            last_error_ns=max(at_ns, status.last_error_ns),
        )  # fmt: skip

    def figures(self) -> dict[str, list[Row]]:
        """For the endpoint, and for what is sent itself."""
        status = self.status
        if status is None:
            return {}
        name, results = status.name, ("sent", "retried", "dropped", "rejected")
        return {
            "blackhole_remote_write_up": [((name,), float(not status.failing_since_ns))],
            "blackhole_remote_write_samples_total": [((name, each), getattr(status, each)) for each in results],
            "blackhole_remote_write_sent_bytes_total": [((name,), status.sent_bytes)],
            "blackhole_remote_write_behind_samples": [((name,), status.behind_samples)],
            "blackhole_remote_write_behind_seconds": [((name,), status.behind_seconds)],
        }

    async def watch(self) -> None:
        """Runs for as long as it is wanted."""
        try:
            while True:
                self._changed.clear()
                await self._begin()
                if self._spec is None:
                    return
                await self._take(self._spec)
        finally:
            if self._sender is not None:
                self._sender.end()

    async def _begin(self) -> None:
        """A sender for the configuration in force."""
        if self._sender is not None:
            self._sender.end()
            self._sender = None
        if self._spec is None:
            self._spool = None
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            return
        self._encoder = Encoder({"job": "blackhole", "host": self._host, **self._spec.labels})
        try:
            self._spool = await asyncio.to_thread(Spool, self._folder, self._spec.buffer)
        except OSError as error:
            self._lose(0, f"cannot keep samples in {self._folder}: {error.strerror}")
            return
        self._sender = Sender(self._spec, self._spool, self._version, self._turn, self._clock)
        self._sender.start()

    async def _take(self, spec: RemoteWriteSpec) -> None:
        """Until the configuration changes."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._changed.is_set():
            if loop.time() >= due:
                await self._keep()
                # From deadline to deadline; those that are past already are left out.
                due += spec.interval * (1 + max(0, int((loop.time() - due) // spec.interval)))
            self._judge(spec)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, min(LOOK_SECONDS, due - loop.time())))

    async def _keep(self) -> None:
        if self._spool is None:
            await self._begin()
        spool, time_ms = self._spool, self._clock() // 10**6
        if spool is None:
            return
        rows = self.rows()
        bodies = await asyncio.to_thread(self._encoder.requests, rows, time_ms)
        count = sum(samples for _, samples in bodies)
        try:
            self._lose(await asyncio.to_thread(spool.put, time_ms, bodies), "the buffer is full")
        except OSError as error:
            self._lose(count, f"cannot keep samples: {error.strerror}")
        if self._sender is not None:
            self._sender.wake.set()

    def _lose(self, count: int, why: str) -> None:
        self._dropped += count
        if count or self._spool is None:
            self._kept_error = (why, self._clock())

    def _judge(self, spec: RemoteWriteSpec) -> None:
        status = self.status
        if status is None:
            return
        self._told, verdicts = judge(self._told, status, spec.warn_after, time.monotonic(), self._clock())
        for verdict in verdicts:
            self._tell(verdict.kind, TARGET, verdict.message, verdict.data)
