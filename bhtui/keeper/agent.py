"""The agent as the keeper's child: captured like a service, and started again whenever it dies."""

from __future__ import annotations

import os
import signal
import time

from bhtui.keeper import proc
from bhtui.keeper.capture import Capture, Logs
from bhtui.keeper.children import Children, unknown_exit
from bhtui.keeper.loop import Loop, Timer
from bhtui.keeper.spawn import SpawnError, Started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Services go unwatched meanwhile: however often it dies, it is back in less than two seconds.
FIRST_DELAY_S, LONGEST_DELAY_S, FACTOR = 0.05, 1.0, 2
HEALTHY_AFTER_S = 10.0  # alive that long, and the next death is a first one again
STOP_GRACE_S = 10.0
LOG_BOUNDS = {"max_bytes": 16 << 20, "max_age_s": 0, "keep": 4}


class Agent:
    """`wanted` is what was asked for; `pid` is 0 while none runs. `note` writes into the keeper's own log."""

    def __init__(
        self, loop: Loop, children: Children, logs: Logs, spec: dict[str, Any], log: str, note: Callable[[str], None]
    ) -> None:
        self.spec, self.wanted, self.pid, self.start, self.pidfd, self.restarts = spec, True, 0, 0, -1, 0
        self.capture: Capture | None = None
        self.on_stopped: Callable[[], None] | None = None
        self._loop, self._children, self._logs, self._note = loop, children, logs, note
        self._log, self._delay, self._since = log, FIRST_DELAY_S, time.monotonic()
        self._timer: Timer | None = None
        self._starting = False
        self._changed = False  # while it was being started

    def begin(self) -> None:
        """Starts it if it is wanted and does not run."""
        self._cancel()
        if self.pid or self._starting or not self.wanted or not self.spec["argv"]:
            return
        self._starting, self._changed, self._since = True, False, time.monotonic()
        self._children.launch(self.spec, self._launched)

    def _launched(self, result: Started | SpawnError) -> None:
        self._starting = False
        if isinstance(result, SpawnError):
            self._note(f"cannot start the agent: {result.text}")
            self._again()
            return
        self._runs(result.pid, result.pidfd)
        self._children.on_exit(result.pid, self._ended)
        self.attach({"stdout": result.out, "stderr": result.err})
        if self._changed or not self.wanted:
            self._ask_to_end()

    def _runs(self, pid: int, pidfd: int) -> None:
        self.pid, self.pidfd, self.start = pid, pidfd, proc.start_of(pid)

    def attach(self, fds: dict[str, int]) -> Capture:
        """Captures its output from these pipes."""
        log = self._logs.take(self._log, **LOG_BOUNDS)
        self.capture = Capture(self._loop, self._logs, log, fds, self._pipes_ended)
        return self.capture

    def _pipes_ended(self) -> None:
        self.capture = None

    def watch(self, pid: int) -> None:
        """Takes over an agent that runs already and is not our child. Raises ProcessLookupError."""
        self._runs(pid, os.pidfd_open(pid))
        self._watch_pidfd()

    def _watch_pidfd(self) -> None:
        pidfd = self.pidfd

        def gone() -> None:
            self._loop.unwatch(pidfd)
            self._ended(unknown_exit())

        self._loop.watch(pidfd, gone)

    def _ended(self, _: dict[str, Any]) -> None:
        if self.capture:
            self.capture.drain()
        os.close(self.pidfd)
        self.pid, self.pidfd, self.start = 0, -1, 0
        self._cancel()
        if self.wanted:
            self.restarts += 1
            self._again()
        elif self.on_stopped:
            self.on_stopped()

    def _again(self) -> None:
        if time.monotonic() - self._since >= HEALTHY_AFTER_S:
            self._delay = FIRST_DELAY_S
        self._timer = self._loop.later(self._delay, self.begin)
        self._delay = min(self._delay * FACTOR, LONGEST_DELAY_S)

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def stop(self) -> None:
        """Asks it to end and kills it after the grace; it is not started again."""
        self.wanted = False
        self._cancel()
        if self.pid:
            self._ask_to_end()

    def restart(self) -> None:
        """Ends it and starts it at once, with the spec as it is then."""
        self.wanted, self._delay, self._since = True, FIRST_DELAY_S, time.monotonic()
        self._changed = self._starting
        if self.pid:
            self._ask_to_end()
        else:
            self.begin()

    def _ask_to_end(self) -> None:
        proc.send(self.pid, self.start, signal.SIGTERM)
        proc.send(self.pid, self.start, signal.SIGCONT)  # one that was stopped would hear of it only when killed
        pid, start = self.pid, self.start
        self._timer = self._loop.later(STOP_GRACE_S, lambda: proc.send(pid, start, signal.SIGKILL))

    @property
    def is_there(self) -> bool:
        """Whether there is one, or one is just being started."""
        return bool(self.pid or self._starting)

    def fds(self) -> dict[str, int]:
        """Its descriptors by what they are; none while it does not run."""
        pipes = self.capture.fds() if self.capture else {}
        return {"pidfd": self.pidfd, **pipes} if self.pid else pipes

    def dump(self) -> dict[str, Any]:
        """For an upgraded keeper."""
        return {
            "spec": self.spec, "wanted": self.wanted, "pid": self.pid, "start": self.start, "pidfd": self.pidfd,
            "restarts": self.restarts, "capture": self.capture.fds() if self.capture else None,
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """The opposite of `dump`; works for a child and for an agent that is not."""
        self.spec, self.wanted, self.restarts = state["spec"], state["wanted"], state["restarts"]
        self.pid, self.start, self.pidfd = state["pid"], state["start"], state["pidfd"]
        if state["capture"]:
            self.attach(state["capture"])
        found = proc.stat(self.pid) if self.pid else None
        if not self.pid:
            self.begin()
        elif found and found.parent == os.getpid():
            self._children.on_exit(self.pid, self._ended)
        else:
            self._watch_pidfd()
