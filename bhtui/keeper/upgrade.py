"""Going on as another version: the same process, children, pipes, connections and lock.

First the new program is run with `--check` in a child and must say that it understands this state. Then the state goes
into a memfd, close-on-exec is cleared on what it names, and the new program is executed in place with `--restore`.
"""

from __future__ import annotations

import json
import os
import signal

from bhtui.keeper import STATE
from bhtui.keeper.spawn import SpawnError, Started
from bhtui.keeper.wire import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bhtui.keeper.keeper import Keeper
    from bhtui.keeper.server import Client

CHECK_TIMEOUT_S = 20.0
QUIET_PAUSE_S = 0.01


class Upgrade:
    """One try. `fail` answers the client that asked; success is answered by the new keeper."""

    def __init__(
        self,
        keeper: Keeper,
        argv: list[str],
        env: dict[str, str],
        client: Client,
        reply: dict[str, Any],
        fail: Callable[[str], None],
    ) -> None:
        self._keeper, self._argv, self._env = keeper, argv, env
        self._client, self._reply, self._fail = client, reply, fail
        self._child: Started | None = None
        self._timer = keeper.loop.later(CHECK_TIMEOUT_S, self._too_long)
        keeper.children.launch({"argv": [*argv, "--check", str(STATE)], "env": env}, self._checking)

    def _too_long(self) -> None:
        if self._child:
            signal.pidfd_send_signal(self._child.pidfd, signal.SIGKILL)

    def _checking(self, result: Started | SpawnError) -> None:
        if isinstance(result, SpawnError):
            self._timer.cancel()
            self._fail(result.text)
            return
        self._child = result
        self._keeper.children.on_exit(result.pid, lambda ended: self._checked(result, ended))

    def _checked(self, child: Started, ended: dict[str, Any]) -> None:
        self._timer.cancel()
        self._child = None
        said = ""
        for fd in (child.out, child.err):
            os.set_blocking(fd, False)
            said += _read_some(fd)
        for fd in (child.out, child.err, child.pidfd):
            os.close(fd)
        if ended["code"] == 0:
            self._when_quiet()
            return
        why = (said.strip() or "it said nothing").splitlines()[-1]
        how = f"exit code {ended['code']}" if ended["signal"] is None else f"signal {ended['signal']}"
        self._fail(f"the new keeper does not work: {why} ({how})")

    def _when_quiet(self) -> None:
        """Starts and kills that are under way finish first; new requests wait in the sockets for the new keeper."""
        keeper = self._keeper
        keeper.server.paused = True
        if keeper.children.is_starting or keeper.killers:
            keeper.loop.later(QUIET_PAUSE_S, self._when_quiet)
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            _execute(keeper, self._argv, self._env, {**self._reply, "fd": self._client.sock.fileno()})
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            keeper.server.paused = False
            self._fail(f"{self._argv[0]}: {error.strerror}")


def _read_some(fd: int) -> str:
    try:
        return os.read(fd, 65_536).decode(errors="replace")
    except BlockingIOError:
        return ""


def _execute(keeper: Keeper, argv: list[str], env: dict[str, str], reply: dict[str, Any]) -> None:
    """Never returns; raises OSError when the program cannot be executed, and then nothing has changed."""
    clients = [client for client in keeper.server.clients if client.is_idle]
    state = dump(keeper, clients, reply)
    memfd = os.memfd_create("keeper-state", os.MFD_CLOEXEC)
    kept = [memfd, keeper.lock, keeper.server.listener.fileno(), *keeper.table.fds(), *keeper.agent.fds().values()]
    kept += keeper.places.folders
    kept += [client.sock.fileno() for client in clients]
    try:
        write_all(memfd, json.dumps(state).encode())
        os.lseek(memfd, 0, os.SEEK_SET)
        for fd in kept:
            os.set_inheritable(fd, True)
        os.execvpe(argv[0], [*argv, "--restore", str(memfd)], env)  # noqa: S606 - an argv, and no shell, is the point
    except OSError:
        for fd in kept:
            os.set_inheritable(fd, False)
        os.close(memfd)
        raise


def dump(keeper: Keeper, clients: list[Client], reply: dict[str, Any]) -> dict[str, Any]:
    """Everything the next version has to know."""
    return {
        "state": STATE, "run_dir": keeper.run_dir, "log_dir": keeper.log_dir, "nofile": keeper.nofile,
        "listener": keeper.server.listener.fileno(), "lock": keeper.lock, "folders": keeper.places.folders,
        "terminating": keeper.terminating,
        "logs": [log.dump() for log in keeper.logs.by_path.values()],
        "rates": {path: rate.dump() for path, rate in keeper.logs.rates.items()},
        "table": keeper.table.dump(), "agent": keeper.agent.dump(),
        "clients": [{"fd": client.sock.fileno(), "events": client.events} for client in clients],
        "reply": reply,
    }  # fmt: skip
