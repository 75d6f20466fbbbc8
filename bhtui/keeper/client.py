"""A synchronous client of the keeper for command lines: quick to import, and it works when the agent hangs."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys

from bhtui.keeper import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

START_TIMEOUT_S = 20.0


class KeeperError(Exception):
    """The keeper refused or could not do it: `stage` and `errno` say where and why, the text is for a person."""

    def __init__(self, text: str, stage: str = "", number: int = 0) -> None:
        super().__init__(text)
        self.stage, self.errno = stage, number


class NoKeeper(KeeperError):
    """No keeper answers there."""


def socket_path(run_dir: str | os.PathLike[str]) -> str:
    """Where the keeper of that run directory listens."""
    return os.path.join(run_dir, "keeper.sock")


class KeeperClient:
    """One connection; a context manager. Every call ends after `timeout` seconds at the latest, with NoKeeper."""

    def __init__(self, run_dir: str | os.PathLike[str], timeout: float = 10.0) -> None:
        self._ids = itertools.count(1)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.settimeout(timeout)
        try:
            self._sock.connect(socket_path(run_dir))
        except OSError as error:
            self._sock.close()
            raise NoKeeper(f"cannot reach the keeper in {os.fspath(run_dir)}: {error.strerror or error}") from error

    def __enter__(self) -> KeeperClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def request(self, op: str, fds: Sequence[int] = (), **fields: Any) -> dict[str, Any]:
        """Asks, and returns the answer; descriptors that come with it are closed. Raises KeeperError."""
        answer, got = self.request_fds(op, fds, **fields)
        wire.close_all(got)
        return answer

    def request_fds(self, op: str, fds: Sequence[int] = (), **fields: Any) -> tuple[dict[str, Any], list[int]]:
        """Asks, and returns the answer with its descriptors, which the caller then owns. Raises KeeperError."""
        id_ = next(self._ids)
        try:
            wire.send(self._sock, {"op": op, "id": id_, **fields}, fds)
            while True:
                answer, got = self.receive()
                if answer.get("re") == id_:
                    break
                wire.close_all(got)
        except OSError as error:
            raise NoKeeper(f"cannot {op}: the keeper does not answer: {error}") from error
        if "error" in answer:
            wire.close_all(got)
            raise KeeperError(answer["error"]["text"], answer["error"]["stage"], answer["error"]["errno"])
        return answer, got

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next packet, whatever it is. Raises NoKeeper when the connection has ended, OSError after the timeout."""
        got = wire.receive(self._sock)
        if got is None:
            raise NoKeeper("the keeper has closed the connection")
        return got


def emergency(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """Kills every service at once and holds: `{"killed": n, "remaining": [pid]}`. Raises KeeperError."""
    with KeeperClient(run_dir) as keeper:
        return keeper.request("emergency")


def shutdown(run_dir: str | os.PathLike[str], *, force: bool = False) -> dict[str, Any]:
    """Ends the agent and the keeper, with force the services too. Raises KeeperError."""
    with KeeperClient(run_dir) as keeper:
        return keeper.request("shutdown", force=force)


def stats(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """The keeper's own counts. Raises KeeperError."""
    with KeeperClient(run_dir) as keeper:
        return keeper.request("stats")


def start(
    run_dir: str | os.PathLike[str],
    log_dir: str | os.PathLike[str],
    agent_argv: Sequence[str],
    *,
    agent_pid: int | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Starts a keeper in the background and returns when its socket listens. Raises KeeperError with the reason."""
    argv = start_argv(run_dir, log_dir, agent_argv, agent_pid)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False, env=env)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeeperError(f"cannot start the keeper: {error}") from error
    if done.returncode:
        raise KeeperError(
            done.stderr.strip().removeprefix("keeper: ") or f"cannot start the keeper: exit code {done.returncode}"
        )


def start_argv(
    run_dir: str | os.PathLike[str],
    log_dir: str | os.PathLike[str],
    agent_argv: Sequence[str],
    agent_pid: int | None = None,
) -> list[str]:
    """The command that starts a keeper in the background."""
    watch = ["--agent-pid", str(agent_pid)] if agent_pid else []
    where = ["--run", os.fspath(run_dir), "--log-dir", os.fspath(log_dir)]
    return [sys.executable, "-P", "-m", "bhtui.keeper", *where, "--detach", *watch, "--", *agent_argv]
