"""The keeper put together: what happens when a process ends, a signal comes, all is to be killed, or it stops."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from functools import partial

from bhtui.keeper import kill, ops, server
from bhtui.keeper.agent import Agent
from bhtui.keeper.capture import Logs
from bhtui.keeper.children import Children, unknown_exit
from bhtui.keeper.logfile import LogFile
from bhtui.keeper.loop import Loop
from bhtui.keeper.places import Places
from bhtui.keeper.spawn import HANDLED, Launcher
from bhtui.keeper.table import Entry, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from typing import Any

    from bhtui.keeper.kill import Members, Report

TERMINATE_GRACE_S = 90.0
KILL_TIMEOUT_S = 5.0


class Keeper:
    """All parts, and the few decisions that need more than one of them."""

    def __init__(
        self,
        run_dir: str,
        log_dir: str,
        listener: socket.socket,
        lock: int,
        folders: list[int],
        nofile: int,
        agent_spec: dict[str, Any],
    ) -> None:
        self.run_dir, self.log_dir, self.lock, self.nofile = run_dir, log_dir, lock, nofile
        self.started_ns, self.started_s = time.time_ns(), time.monotonic()
        self.log = LogFile(os.path.join(log_dir, "keeper.log"), max_bytes=1 << 20, keep=2)
        self.log.open()
        self.loop = Loop(self.note)
        self.launcher = Launcher(run_dir, nofile)
        self.children = Children(self.loop, self.launcher)
        self.logs = Logs(self.loop)
        self.table = Table(self.loop, self.logs)
        self.agent = Agent(
            self.loop, self.children, self.logs, agent_spec, os.path.join(log_dir, "agent.log"), self.note
        )
        self.server = server.Server(self.loop, listener, partial(ops.handle, self))
        self.places = Places(self, folders)
        self.killers = 0
        self.terminating = False
        self.stopping = False
        self.upgrading = False
        self.hold_path = os.path.join(run_dir, "hold")
        self.is_held = os.path.exists(self.hold_path)
        self.loop.on_signals(HANDLED, self._on_signal)

    def note(self, text: str) -> None:
        """A line in the keeper's own log; a traceback takes several."""
        for line in text.rstrip().splitlines():
            self.log.now()
            self.log.note(line)

    # ---- processes -----------------------------------------------------------------------------------------------

    def keep(self, entry: Entry) -> None:
        """Hears of the end of a process: by wait when it is our child, by its pidfd when a dead keeper started it."""
        if entry.adopted:
            self.loop.watch(entry.pidfd, lambda: self._adopted_ended(entry))
        else:
            self.children.on_exit(entry.pid, lambda ended: self._ended(entry, ended))

    def _adopted_ended(self, entry: Entry) -> None:
        self.loop.unwatch(entry.pidfd)
        self._ended(entry, unknown_exit())

    def _ended(self, entry: Entry, ended: dict[str, Any]) -> None:
        entry.exit = ended
        if entry.capture:
            entry.capture.drain()
        self.server.tell({"event": "exited", "key": entry.key, "tag": entry.tag, "pid": entry.pid, "exit": ended})

    def spared(self) -> set[int]:
        """Who is never killed as part of a tree."""
        return {1, os.getpid(), self.agent.pid} - {0}

    def kill(self, targets: list[kill.Target], timeout: float, done: Callable[[Report], None]) -> None:
        """Ends whole trees."""
        spared = self.spared()
        usable: dict[str, list[str]] = {}

        def find(keys: Container[str]) -> dict[str, Members]:
            return kill.trees([one for one in targets if one.key in keys], self.run_dir, spared, usable)

        self._kill(find, lambda key: usable[key], timeout, done)

    def sweep(self, timeout: float, done: Callable[[Report], None]) -> None:
        """Ends what an earlier keeper of this run directory left and nobody adopted."""
        known = {entry.key for entry in self.table.entries.values()}
        known |= self.children.keys
        self._kill(lambda _: kill.strays(self.run_dir, known, self.spared()), lambda _: (), timeout, done)

    def _kill(
        self,
        find: Callable[[Container[str]], dict[str, Members]],
        cgroups: Callable[[str], Iterable[str]],
        timeout: float,
        done: Callable[[Report], None],
    ) -> None:
        def finished(report: Report) -> None:
            self.killers -= 1
            self.children.reap()  # so that the ends are told before the report
            done(report)

        self.killers += 1
        kill.Killer(self.loop, find, cgroups, timeout, finished)

    def kill_all(self, done: Callable[[Report], None]) -> None:
        """Ends every tree there is, those that are just being started too."""
        targets = [entry.target() for entry in self.table.entries.values()]
        for one in self.children.forked():
            if "key" in one.spec:
                spec = one.spec
                targets.append(kill.Target(spec["key"], one.child.pid, one.child.start, spec.get("cgroups", [])))
        self.kill(targets, KILL_TIMEOUT_S, done)

    # ---- hold ----------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Refuses every spawn until `resume`. It is a file too, so that it outlives any keeper."""
        self.is_held = True
        os.close(os.open(self.hold_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def resume(self) -> None:
        """Allows spawn again."""
        self.is_held = False
        with suppress(FileNotFoundError):
            os.unlink(self.hold_path)

    # ---- the end of the keeper -----------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self.children.reap()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self.terminate()

    def terminate(self) -> None:
        """Asked to end: the agent stops the services in order and sends `shutdown`. Asked twice, all is killed."""
        if self.terminating:
            self._end_by_force()
            return
        self.terminating = True
        self.note("asked to terminate")
        self.server.tell({"event": "terminate"})
        self.loop.later(TERMINATE_GRACE_S, self._check_terminate)

    def _check_terminate(self) -> None:
        if any(client.events for client in self.server.clients):
            self.loop.later(TERMINATE_GRACE_S, self._check_terminate)
        else:
            self._end_by_force()

    def _end_by_force(self) -> None:
        self.note("killing everything")
        self.agent.wanted = False
        self.kill_all(lambda _: self.shut_down())

    def shut_down(self) -> None:
        """Lets the agent end, then ends. The caller has made sure that no service runs."""
        if self.stopping:
            return
        self.stopping = True
        self.agent.on_stopped = self.loop.stop
        self.agent.stop()
        if not self.agent.is_there:
            self.loop.later(0.05, self.loop.stop)  # replies that are on their way get out

    def close(self) -> None:
        """Removes the socket and closes the logs."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.run_dir, "keeper.sock"))
        for log in self.logs.by_path.values():
            log.close()
        self.note("ended")
        self.log.close()
