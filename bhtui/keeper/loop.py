"""The keeper's event loop: descriptors, timers and signals in one thread.

Callbacks for control (sockets, signals, process ends) run before those that move log data, and each callback does a
bounded piece of work, so a flooding service delays neither the others nor the control socket.
"""

from __future__ import annotations

import heapq
import os
import selectors
import signal
import time
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Callback = Callable[[], None]

CONTROL, DATA = 0, 1
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Timer:
    """A call in the future that can be cancelled."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callback) -> None:
        self.due, self.call = due, call

    def cancel(self) -> None:
        """The call will not be made; harmless after it was."""
        self.call = _nothing

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due


def _nothing() -> None:
    """What a cancelled timer does."""


class Loop:
    """Runs callbacks until `stop`; an exception in one is reported to `on_bug` and never ends the loop."""

    def __init__(self, on_bug: Callable[[str], None]) -> None:
        self._selector = selectors.EpollSelector()
        self._timers: list[Timer] = []
        self._on_bug = on_bug
        self._running = True
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def watch(self, fd: int, call: Callback, *, rank: int = CONTROL, events: int = READ) -> None:
        """Calls back whenever fd is ready."""
        self._selector.register(fd, events, (rank, call))

    def rewatch(self, fd: int, call: Callback, *, events: int) -> None:
        """Changes what a watched control descriptor waits for."""
        self._selector.modify(fd, events, (CONTROL, call))

    def unwatch(self, fd: int) -> None:
        """Stops watching; to be called before the descriptor is closed."""
        self._selector.unregister(fd)

    def later(self, seconds: float, call: Callback) -> Timer:
        """Calls back once after that many seconds."""
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def on_signals(self, numbers: Iterable[int], call: Callable[[int], None]) -> None:
        """Calls back for each of these signals, from the loop and never in between."""

        def drain() -> None:
            try:
                arrived = os.read(self._wake_read, 4096)
            except BlockingIOError:
                return
            for number in sorted(set(arrived)):
                call(number)

        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        self.watch(self._wake_read, drain)

    def stop(self) -> None:
        """The loop ends after this round."""
        self._running = False

    def run(self) -> None:
        """Runs until `stop`."""
        while self._running:
            self._run_ready()
            self._run_timers()

    def _run_ready(self) -> None:
        ready = self._selector.select(self._patience())
        if len(ready) > 1:
            ready.sort(key=lambda pair: pair[0].data[0])
        registered = self._selector.get_map()
        for key, _ in ready:
            # An earlier callback of this round may have closed this descriptor, and the number may be another's by now.
            if registered.get(key.fd) is key:
                self.guard(key.data[1])

    def _patience(self) -> float | None:
        return max(0.0, self._timers[0].due - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            self.guard(heapq.heappop(self._timers).call)

    def guard(self, call: Callback) -> None:
        """Calls. The parent of every service outlives a fault in one request: it is written down, and all goes on."""
        try:
            call()
        except Exception:  # noqa: BLE001 - the reason is just above
            self._on_bug(traceback.format_exc())
