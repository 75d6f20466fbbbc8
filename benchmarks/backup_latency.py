"""What a service's clients notice of a backup: p99 of Redis's answers while one runs, ours and restic's.

Redis is supervised by the agent, and one client asks it 500 times a second. First nothing else runs; then
`blackhole backup create --full` of the data of another service on the same host (the engine is a process of low
priority); then `restic backup` of the same data as a person would start it. Each is a first backup.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from _common import free_ports, program, report, workplace
from _managers import PROGRAMS
from backup import PASSWORD, mixed

RATE, QUIET, PERCENT = 500, 10.0, 50
CONFIG = """
services:
  redis:
    command: [redis-server, --port, "PORT", --bind, 127.0.0.1, --save, "", --dir, FOLDER/redis]
    healthcheck: {tcp: PORT}
  files: {command: [sleep, "100000"], data: [FOLDER/data]}
backup:
  storage: {type: local, path: FOLDER/ours}
  password_file: FOLDER/password
"""


class Client:
    """Asks at a steady rate; an answer that is late does not make the next question late."""

    def __init__(self, port: int) -> None:
        self.port, self.seconds = port, list[float]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as redis:
            due = time.monotonic()
            while not self._ended.is_set():
                due += 1 / RATE
                time.sleep(max(0.0, due - time.monotonic()))
                redis.sendall(b"INCR asked\r\n")
                redis.recv(100)
                # Counted from when it was due, so that what waited behind a slow one counts too.
                self.seconds.append(time.monotonic() - due)

    def p99(self) -> float:
        """Milliseconds."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100] * 1000


def measured(folder: Path, port: int, env: dict[str, str]) -> list[float]:
    """p99 with nothing, ours, restic."""
    restic = ["restic", "--no-cache", "--quiet", "-r", str(folder / "theirs")]
    theirs = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    subprocess.run([*restic, "init"], env=theirs, check=True, capture_output=True)
    found = []
    for command, environ in (
        (["sleep", str(QUIET)], env),
        ([str(PROGRAMS / "blackhole"), "backup", "create", "--full", "--service", "files"], env),
        ([*restic, "backup", str(folder / "data")], theirs),
    ):
        with Client(port) as client:
            begun = time.monotonic()
            subprocess.run(command, env=environ, check=True, capture_output=True, timeout=600)
            took = time.monotonic() - begun
        found.append(client.p99())
        print(f"{' '.join(command[:3])}: {took:.1f} s, {len(client.seconds)} answers, p99 {found[-1]:.2f} ms")
    return found


def main() -> None:
    if program("redis-server", "apt install redis-server") is None or program("restic", "apt install restic") is None:
        return
    with workplace() as folder:
        port = free_ports()
        (folder / "redis").mkdir()
        (folder / "data").mkdir()
        mixed(folder / "data", PERCENT)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o600)
        (folder / "blackhole.yaml").write_text(CONFIG.replace("PORT", str(port)).replace("FOLDER", str(folder)))
        env = {**os.environ, "BLACKHOLE_HOME": str(folder)}
        cli = str(PROGRAMS / "blackhole")
        try:
            subprocess.run([cli, "start"], env=env, check=True, capture_output=True, timeout=120)
            quiet, ours, theirs = measured(folder, port, env)
        finally:
            subprocess.run([cli, "agent", "stop"], env=env, check=False, capture_output=True, timeout=120)
            shutil.rmtree(folder / "data")
    report("p99 of a service's answers during a backup", "ms", ours, "restic", theirs)
    report("the same, to when nothing runs", "ms", ours, "nothing", quiet)


if __name__ == "__main__":
    main()
