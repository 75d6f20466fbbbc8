"""A unit of systemd for a keeper that is started from a login, where systemd runs the host.

In the login's own scope it would end with it (KillUserProcesses= in logind.conf(5)), at shutdown everything would get
SIGTERM at once, and the cgroups would be systemd's alone. In a unit with Delegate= those below it are ours to divide:
https://systemd.io/CGROUP_DELEGATION. root has a unit of the system, a user with linger one of his own; other users have
nothing that outlives their login, and stay in it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress

SYSTEMD, PROGRAM = "/run/systemd/system", "/usr/bin/systemd-run"
CGROUPS, OWN = "/sys/fs/cgroup", "/proc/self/cgroup"
MARKS = ("trusted.delegate", "user.delegate")
"""The first can be read by root alone; older versions of systemd have no other."""
EARLY = ("BLACKHOLE_HOME", "PYTHONPATH")
"""What is wanted before the environment is read, and read by others in /proc. The bus shows it to everyone."""
TIMEOUT_S = 12.0


def manager() -> str:
    """Who is to start the keeper: `--system`, `--user`, or empty: this process, where it is."""
    needed = (SYSTEMD, PROGRAM, f"{CGROUPS}/cgroup.controllers")
    if not all(map(os.path.exists, needed)) or is_delegated():
        return ""
    uid = os.getuid()
    if uid == 0:
        return "--system"
    return "--user" if os.path.exists(f"/run/user/{uid}/systemd/private") and _lingers(uid) else ""


def _lingers(uid: int) -> bool:
    import pwd

    try:
        return os.path.exists(f"/var/lib/systemd/linger/{pwd.getpwuid(uid).pw_name}")
    except KeyError:
        return False


def is_delegated() -> bool:
    """Whether this process is in a group that systemd has given away, or below one."""
    with open(OWN, encoding="utf-8") as file:
        path = next((line.strip()[3:] for line in file if line.startswith("0::")), "/")
    while path.strip("/"):
        for mark in MARKS:
            with suppress(OSError):
                if os.getxattr(CGROUPS + path, mark) == b"1":
                    return True
        path = os.path.dirname(path)
    return False


def start(by: str, run_dir: str, log_dir: str) -> str:
    """Has systemd start this same program without `--detach`; returns when it listens. Empty, or why it does not."""
    import subprocess  # only here: what is imported before a fork stays in the keeper's memory

    for folder in (run_dir, log_dir):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    env = os.path.join(os.path.abspath(run_dir), f"env.{os.getpid()}")
    with open(os.open(env, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(dict(os.environ), file)
    words = sys.orig_argv[1:]
    where = words.index("--detach")
    properties = {
        "Delegate": "yes",
        "KillMode": "process",  # the keeper ends the services in order; systemd must not race it
        "TimeoutStopSec": "180",
        "StandardOutput": "null",
        "StandardError": f"append:{os.path.abspath(log_dir)}/keeper.err",
    }
    argv = [PROGRAM, by, "--quiet", "--collect", "--service-type=notify"]
    argv += ["--description=Blackhole agent, placed over SSH or started by hand"]
    argv += [f"--property={name}={value}" for name, value in properties.items()]
    argv += [f"--setenv={name}={os.environ[name]}" for name in EARLY if name in os.environ]
    program = [sys.executable, *words[:where], "--env", env, *words[where + 1 :]]
    argv += ["--", *(word.replace("$", "$$") for word in program)]  # $ begins a variable there
    runtime = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"} if by == "--user" else {}
    try:
        done = subprocess.run(
            argv, env={**os.environ, **runtime}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(env)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


def enter(env: str) -> str:
    """Takes over the environment of whoever asked; where systemd is to be told that we are ready."""
    notify = os.environ.get("NOTIFY_SOCKET", "")
    with open(env) as file:
        environ = json.load(file)
    os.environ.clear()
    os.environ.update(environ)
    return notify


def tell_ready(notify: str) -> None:
    """The protocol of sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(b"READY=1", "\0" + notify[1:] if notify.startswith("@") else notify)
