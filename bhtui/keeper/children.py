"""The children of the keeper: the one wait loop of the process, and starts that do not block it."""

from __future__ import annotations

import errno
import os
import signal
import time
from functools import partial

from bhtui.keeper import spawn
from bhtui.keeper.loop import Loop, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Exit = dict[str, Any]
    OnExit = Callable[[Exit], None]
    OnStart = Callable[[spawn.Started | spawn.SpawnError], None]

START_TIMEOUT_S = 10.0  # exec of a program on a dead network file system must not last for ever


class Starting:
    """A child between fork and exec, and whom to tell."""

    __slots__ = ("child", "spec", "then", "timer")

    def __init__(self, child: spawn.Started, spec: dict[str, Any], then: OnStart, timer: Timer) -> None:
        self.child, self.spec, self.then, self.timer = child, spec, then, timer


class Children:
    """Starts children and tells when they end. Orphans of services become ours too and are reaped silently.

    `keys` are those of services that are being started.
    """

    def __init__(self, loop: Loop, launcher: spawn.Launcher) -> None:
        self.keys: set[str] = set()
        self._loop, self._launcher = loop, launcher
        self._waiting: list[tuple[dict[str, Any], OnStart]] = []
        self._starting: dict[int, Starting] = {}
        self._on_exit: dict[int, OnExit] = {}

    def launch(self, spec: dict[str, Any], then: OnStart) -> None:
        """Starts a child at the end of this round of the loop; `then` is called once, with it or with the reason."""
        if not self._waiting:
            self._loop.later(0, self._fork)
        self._waiting.append((spec, then))
        if "key" in spec:
            self.keys.add(spec["key"])

    def _fork(self) -> None:
        waiting, self._waiting = self._waiting, []
        results = self._launcher.start([spec for spec, _ in waiting])
        for (spec, then), result in zip(waiting, results, strict=True):
            if isinstance(result, spawn.SpawnError):
                self._loop.guard(partial(self._tell, spec, then, result))
                continue
            give_up = self._loop.later(START_TIMEOUT_S, partial(self._give_up, result.pid))
            self._starting[result.pid] = Starting(result, spec, then, give_up)
            self._loop.watch(result.status, partial(self._decide, result.pid))

    def forked(self) -> list[Starting]:
        """Those between fork and exec, for whoever is about to end them; none is left to be forked later."""
        self._fork()
        return list(self._starting.values())

    @property
    def is_starting(self) -> bool:
        """Whether any child is being started."""
        return bool(self._waiting or self._starting)

    def on_exit(self, pid: int, call: OnExit) -> None:
        """Calls back once when that child has ended."""
        self._on_exit[pid] = call

    def reap(self) -> None:
        """Takes every ended child from the kernel."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._starting:
                self._loop.guard(partial(self._decide, pid))
            call = self._on_exit.pop(pid, None)
            if call is not None:
                ended = _exit(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
                self._loop.guard(partial(call, ended))

    def _decide(self, pid: int) -> None:
        one = self._starting[pid]
        text = os.read(one.child.status, 4096)
        self._settle(one, spawn.failure(one.spec["argv"], text) if text else None)

    def _give_up(self, pid: int) -> None:
        one = self._starting[pid]
        signal.pidfd_send_signal(one.child.pidfd, signal.SIGKILL)
        text = f"cannot start {one.spec['argv'][0]}: exec: no answer within {START_TIMEOUT_S:.0f} s"
        self._settle(one, spawn.SpawnError("exec", errno.ETIMEDOUT, text))

    def _settle(self, one: Starting, error: spawn.SpawnError | None) -> None:
        del self._starting[one.child.pid]
        one.timer.cancel()
        self._loop.unwatch(one.child.status)
        os.close(one.child.status)
        if error is not None:
            for fd in (one.child.out, one.child.err, one.child.pidfd):
                os.close(fd)
        self._tell(one.spec, one.then, one.child if error is None else error)

    def _tell(self, spec: dict[str, Any], then: OnStart, result: spawn.Started | spawn.SpawnError) -> None:
        self.keys.discard(spec.get("key", ""))
        then(result)


def _exit(status: int, cpu_s: float, max_rss: int) -> Exit:
    signalled = os.WIFSIGNALED(status)
    return {
        "code": None if signalled else os.WEXITSTATUS(status),
        "signal": os.WTERMSIG(status) if signalled else None,
        "unknown": False,
        "time_ns": time.time_ns(),
        "ticks": ticks(),
        "cpu_seconds": cpu_s,
        "max_rss_bytes": max_rss,
    }


def unknown_exit() -> Exit:
    """The end of a process that was not our child: how it ended nobody can say any more."""
    return {
        "code": None, "signal": None, "unknown": True, "time_ns": time.time_ns(), "ticks": ticks(),
        "cpu_seconds": None, "max_rss_bytes": None,
    }  # fmt: skip


def ticks() -> int:
    """Now, in the unit of the start times of processes."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
