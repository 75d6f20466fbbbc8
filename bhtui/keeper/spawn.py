"""Starts a process: fork, prepare the child step by step, exec; a step that fails is told through a pipe."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from functools import partial

from bhtui.keeper import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KEY_VARIABLE = "BLACKHOLE_INSTANCE"
RUN_VARIABLE = "BLACKHOLE_RUN"
IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282, "i686": 289, "armv7l": 314}
IOPRIO_WHO_PROCESS, IOPRIO_CLASS_SHIFT = 1, 13
FAILED = 127
HANDLED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}  # by the keeper


class SpawnError(Exception):
    """A process could not be started: at which stage, and the errno."""

    def __init__(self, stage: str, number: int, text: str) -> None:
        super().__init__(text)
        self.stage, self.errno, self.text = stage, number, text


class Started:
    """A child between fork and exec. Its `status` pipe ends silently when exec worked and else carries the failure."""

    __slots__ = ("err", "out", "pid", "pidfd", "start", "status")

    def __init__(self, pid: int, out: int, err: int, status: int) -> None:
        self.pid, self.out, self.err, self.status = pid, out, err, status
        self.start = proc.start_of(pid)
        self.pidfd = os.pidfd_open(pid)


class Launcher:
    """Forks children. `nofile` is the soft limit of open files that the keeper was started with: children get it."""

    def __init__(self, run_dir: str, nofile: int) -> None:
        self.run_dir, self.nofile = run_dir, nofile
        # Python ignores SIGPIPE, and exec leaves an ignored signal ignored; one that is caught it makes default again.
        for number in signal.valid_signals():
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, lambda *_: None)

    def markers(self, key: str) -> dict[str, str]:
        """The environment entries by which descendants of an instance are found again."""
        return {KEY_VARIABLE: key, RUN_VARIABLE: self.run_dir}

    def start(self, specs: list[dict[str, Any]]) -> list[Started | SpawnError]:
        """Forks a child for each spec as the `spawn` request has it; SpawnError when there is no room for one.

        Until a forked child executes its program, each page that is written here has to be copied first, and Python
        writes to pages when it merely reads objects. So all are forked with as little in between as possible.
        """
        # Until a child has executed its program it has the keeper's handlers, and would take a signal for the keeper's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            forked = [self._fork(spec) for spec in specs]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return [one if isinstance(one, SpawnError) else Started(*one) for one in forked]

    def _fork(self, spec: dict[str, Any]) -> tuple[int, int, int, int] | SpawnError:
        """The child's pid, and the ends to read from of its stdout, stderr and status pipes."""
        fds: list[int] = []
        try:
            if spec.get("ionice"):
                _load_ioprio()
            for _ in range(3):
                fds += os.pipe2(os.O_CLOEXEC)
            pid = os.fork()
        except OSError as error:
            for fd in fds:
                os.close(fd)
            return SpawnError("fork", error.errno or 0, f"cannot fork: {error.strerror}")
        out, out_write, err, err_write, status, status_write = fds
        if pid == 0:
            self._child(spec, out_write, err_write, status_write)
        for fd in (out_write, err_write, status_write):
            os.close(fd)
        return pid, out, err, status

    def _child(self, spec: dict[str, Any], out: int, err: int, status: int) -> None:
        """Never returns."""
        stage = "setup"
        try:
            _settle(out, err)
            for name, step in _steps(spec, self.nofile):
                stage = name
                step()
            stage = "exec"
            env = {**spec.get("env", {}), **spec.get("markers", {})}
            for number in signal.sigpending():
                signal.signal(number, signal.SIG_DFL)  # it was meant for the service
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvpe(spec["argv"][0], spec["argv"], env)  # noqa: S606 - an argv, and no shell, is the point
        except OSError as error:
            _tell(status, stage, error.errno or 0, f"{error.strerror}{f': {error.filename}' if error.filename else ''}")
        except ValueError as error:
            _tell(status, stage, 0, str(error))
        except BaseException as error:  # noqa: BLE001 - a child must never return into the keeper's loop
            _tell(status, stage, 0, f"{type(error).__name__}: {error}")
        finally:
            os._exit(FAILED)


def _settle(out: int, err: int) -> None:
    """A session and standard streams of its own."""
    signal.set_wakeup_fd(-1)
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)


def _tell(status: int, stage: str, number: int, text: str) -> None:
    os.write(status, json.dumps([stage, number, text]).encode())


ROOT_ALONE = {
    "rlimits": "a limit above this user's own hard limit",
    "nice": "a higher priority than the agent's",
    "ionice": "this class of input and output",
    "oom_score_adj": "a lower oom_score_adj than the agent's",
    "user": "another user or group",
}
"""Stage: what only root may ask for there."""


def failure(argv: list[str], text: bytes) -> SpawnError:
    """What a child wrote into its status pipe as an error a person can act on."""
    stage, number, why = json.loads(text)
    if stage in ROOT_ALONE and number in (errno.EPERM, errno.EACCES):
        why = f"{why}: {ROOT_ALONE[stage]} needs root; change it, or run the agent as root"
    return SpawnError(stage, number, f"cannot start {argv[0]}: {stage}: {why}")


def _steps(spec: dict[str, Any], nofile: int) -> list[tuple[str, Callable[[], Any]]]:
    """What a child does between fork and exec, in this order: what needs the keeper's rights first, the user's last."""
    steps: list[tuple[str, Callable[[], Any]]] = []
    add = steps.append
    for folder in spec.get("cgroups", ()):
        add(("cgroup", partial(_write, folder + "/cgroup.procs", "0")))
    if spec.get("oom_score_adj") is not None:
        add(("oom_score_adj", lambda: _write("/proc/self/oom_score_adj", str(spec["oom_score_adj"]))))
    add(("rlimits", lambda: _limit(spec.get("rlimits", {}), nofile)))
    if spec.get("nice") is not None:
        add(("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, spec["nice"])))
    if spec.get("ionice"):
        add(("ionice", lambda: _set_ioprio(*spec["ionice"])))
    if spec.get("uid") is not None:
        add(("user", lambda: _become(spec["uid"], spec["gid"], spec.get("groups"))))
    add(("umask", lambda: os.umask(spec.get("umask", 0o022))))
    add(("cwd", lambda: os.chdir(spec.get("cwd") or "/")))
    return steps


def _become(uid: int, gid: int, groups: list[int] | None) -> None:
    if os.geteuid() == 0 or groups is not None:
        os.setgroups([gid] if groups is None else groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def _limit(limits: dict[str, list[int]], nofile: int) -> None:
    """Sets limits given as {"nofile": [soft, hard]}; -1 is unlimited."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, hard))
    for name, pair in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise ValueError(f"no such limit: {name}")
        try:
            resource.setrlimit(number, (pair[0], pair[1]))
        except ValueError as error:  # so Python says EPERM and EINVAL
            limit = resource.getrlimit(number)[1]
            if pair[1] == resource.RLIM_INFINITY or (limit != resource.RLIM_INFINITY and pair[1] > limit):
                raise PermissionError(errno.EPERM, f"{name} {pair[1]} is above {limit}") from error
            raise ValueError(f"{name} {pair[0]}:{pair[1]}: {error}") from error


_libc: Any = None


def _load_ioprio() -> None:
    """ctypes costs memory, so it is loaded when the first ionice is asked for, and before the fork."""
    global _libc
    if _libc is None:
        import ctypes

        _libc = ctypes.CDLL(None, use_errno=True)


def _set_ioprio(kind: int, level: int) -> None:
    import ctypes

    number = IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise ValueError("ionice is not known for this machine")
    if _libc.syscall(number, IOPRIO_WHO_PROCESS, 0, kind << IOPRIO_CLASS_SHIFT | level) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
