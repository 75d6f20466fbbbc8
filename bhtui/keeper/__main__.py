"""Starts a keeper: `python -m bhtui.keeper --run DIR --log-dir DIR [--detach] [--agent-pid PID] -- AGENT ARGV...`.

`--env FILE` has the environment to run in, when systemd starts it (unit.py).
`--check STATE` says by its exit code whether this version can take over such a state; `--restore FD` does it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys

from bhtui import __version__
from bhtui.keeper import STATE, ops, places, server
from bhtui.keeper.keeper import Keeper
from bhtui.keeper.spawn import KEY_VARIABLE, RUN_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_CHILD_SUBREAPER = 36
USAGE = "usage: python -m bhtui.keeper --run DIR --log-dir DIR [--detach] [--agent-pid PID] -- AGENT ARGV..."
WORDS = ("--run", "--log-dir", "--agent-pid", "--env", "--check", "--restore")


class CannotStart(Exception):
    """Why there is no keeper; the text is for a person."""


def parse(argv: list[str]) -> dict[str, Any]:
    """Options and, under "agent", what follows `--`. argparse would cost every keeper half a megabyte."""
    options: dict[str, Any] = {"agent": []}
    words = iter(argv)
    for word in words:
        if word == "--":
            options["agent"] = list(words)
        elif word == "--detach":
            options["detach"] = True
        elif word in WORDS:
            options[word.strip("-").replace("-", "_")] = next(words, None)
        else:
            raise CannotStart(f"unknown option {word}; {USAGE}")
    if not ({"check", "restore"} & set(options) or (options.get("run") and options.get("log_dir"))):
        raise CannotStart(USAGE)
    return options


def main(argv: list[str]) -> int:
    """The whole life of a keeper; the exit code of the process."""
    try:
        options = parse(argv)
        if options.get("check"):
            theirs = options["check"]
            return 0 if 1 <= int(theirs) <= STATE else _refuse(f"it understands states up to {STATE}, not {theirs}")
        if options.get("restore"):
            return live(restore(int(options["restore"])))
        if options.get("detach"):
            return detach(options)
        if options.get("env"):
            return in_unit(options)
        return live(begin(options))
    except CannotStart as error:
        return _refuse(str(error))


def _refuse(text: str) -> int:
    print(f"keeper: {text}", file=sys.stderr)
    return 1


def live(keeper: Keeper) -> int:
    """Runs a keeper to its end."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    keeper.loop.later(0, keeper.children.reap)  # ends that came before the handler was there
    keeper.loop.guard(keeper.places.watch)
    keeper.loop.run()
    keeper.close()
    return 0


def in_unit(options: dict[str, Any]) -> int:
    """The life of a keeper that systemd was asked to start."""
    from bhtui.keeper import unit

    notify = unit.enter(options["env"])
    keeper = begin(options)
    unit.tell_ready(notify)
    return live(keeper)


def detach(options: dict[str, Any]) -> int:
    """Leaves a keeper in the background and returns 0 once its socket listens; else tells why and returns 1."""
    from bhtui.keeper import unit

    if by := unit.manager():
        why = unit.start(by, options["run"], options["log_dir"])
        if not why:
            return 0
        print(f"keeper: systemd did not start it, it stays in this login: {why}", file=sys.stderr)
    ready, tell = os.pipe()
    sys.stdout.flush()
    if os.fork() == 0:
        os.close(ready)
        os.setsid()
        if os.fork():
            os._exit(0)  # so that the keeper is nobody's session leader and can get no terminal
        try:
            keeper = begin(options)
            _redirect(options["log_dir"])
        except CannotStart as error:
            os.write(tell, str(error).encode())
            os._exit(1)
        os.write(tell, b"ready")
        os.close(tell)
        os._exit(live(keeper))
    os.close(tell)
    os.wait()
    answer = b"".join(iter(lambda: os.read(ready, 4096), b"")).decode(errors="replace")
    return 0 if answer == "ready" else _refuse(answer or "it died while it started")


def _redirect(log_dir: str) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    errors = os.open(os.path.join(log_dir, "keeper.err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, number in ((null, 0), (null, 1), (errors, 2)):
        os.dup2(fd, number)
    os.close(null)
    os.close(errors)


def begin(options: dict[str, Any]) -> Keeper:
    """A new keeper that listens and starts its agent. Raises CannotStart."""
    run_dir, log_dir = os.path.realpath(options["run"]), os.path.abspath(options["log_dir"])
    _prepare()
    try:
        for folder in (run_dir, log_dir):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(run_dir, 0o700)
        lock, folders = places.claim(run_dir, log_dir)
        listener = server.listen(os.path.join(run_dir, "keeper.sock"))
        nofile = _raise_nofile()
        agent = {"argv": options["agent"], "env": _clean(dict(os.environ))}
        keeper = Keeper(run_dir, log_dir, listener, lock, folders, nofile, agent)
        if options.get("agent_pid"):
            keeper.agent.watch(int(options["agent_pid"]))
        keeper.loop.later(0, keeper.agent.begin)
    except places.Taken as error:
        raise CannotStart(str(error)) from None
    except (OSError, ValueError) as error:
        why = f"{error.filename or run_dir}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise CannotStart(
            f"cannot start a keeper: {why}; correct that for this user, or set BLACKHOLE_HOME to another folder"
        ) from error
    keeper.note(f"started, process {os.getpid()}")
    return keeper


def _clean(env: dict[str, str]) -> dict[str, str]:
    """Without the marks of an instance that this keeper may itself run in."""
    return {name: value for name, value in env.items() if name not in (KEY_VARIABLE, RUN_VARIABLE)}


def _prepare() -> None:
    os.umask(0o077)
    while (fd := os.open("/dev/null", os.O_RDWR)) < 3:  # a pipe must never get the number of a standard stream
        os.set_inheritable(fd, True)
    os.close(fd)
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise CannotStart("cannot become the reaper of orphans")


def _raise_nofile() -> int:
    """Allows as many descriptors as the system does and returns the soft limit from before, for the children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def restore(fd: int) -> Keeper:
    """The keeper that a former version wrote down before it executed this one."""
    with os.fdopen(fd, "rb") as file:
        state = json.load(file)
    _prepare()
    listener = socket.socket(fileno=state["listener"])
    folders = state.get("folders", [])  # a version before locked none
    for number in (state["listener"], state["lock"], *folders):
        os.set_inheritable(number, False)
    keeper = Keeper(
        state["run_dir"], state["log_dir"], listener, state["lock"], folders, state["nofile"], state["agent"]["spec"]
    )
    keeper.logs.load(state["logs"], state.get("rates", {}))
    keeper.table.load(state["table"])
    keeper.agent.load(state["agent"])
    for number in (*keeper.table.fds(), *keeper.agent.fds().values()):
        os.set_inheritable(number, False)
    for entry in keeper.table.running():
        keeper.keep(entry)
    _restore_clients(keeper, state)
    keeper.note(f"went on as version {__version__} with {len(keeper.table.running())} processes")
    if state["terminating"]:
        keeper.terminate()
    return keeper


def _restore_clients(keeper: Keeper, state: dict[str, Any]) -> None:
    asker = None
    for saved in state["clients"]:
        os.set_inheritable(saved["fd"], False)
        client = keeper.server.take(socket.socket(fileno=saved["fd"]), saved["events"])
        if saved["fd"] == state["reply"]["fd"]:
            asker = client
    ops.restored(keeper, asker, state["reply"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
