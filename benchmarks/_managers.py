"""The supervisors that are measured side by side, each behind the same few calls.

Every service announces itself by writing its name into one FIFO when it starts, so that no measurement polls.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _common import venv

HERE = Path(__file__).resolve().parent
PROGRAMS = Path(sys.executable).parent


class Roll:
    """The FIFO; one line for each process that started: its pid."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "roll"
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def script(self, seconds: int = 100000) -> str:
        """A shell script that announces itself and then stays."""
        return f'echo $$ > "{self.path}"; exec sleep {seconds}'

    def wait(self, count: int, timeout: float = 60) -> list[int]:
        """The pids of the next `count` starts. Raises TimeoutError."""
        end = time.monotonic() + timeout
        data = b""
        while data.count(b"\n") < count:
            ready, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{len(data.split())} of {count} services started within {timeout:g} s")
            data += os.read(self._fd, 65536)
        return [int(line) for line in data.split()]

    def close(self) -> None:
        os.close(self._fd)


class Manager:
    """One supervisor with `count` services that are declared and down."""

    name = ""

    def __init__(self, folder: Path, script: str, count: int) -> None:
        self.folder, self.script, self.count = folder, f"#!/bin/sh\n{script}\n", count
        self.program = folder / "service.sh"
        self.program.write_text(self.script)
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *argv: str, **kwargs: object) -> None:
        subprocess.run(argv, check=True, capture_output=True, timeout=60, **kwargs)  # type: ignore[call-overload]

    def background(self, *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.processes.append(process)
        return process

    def up(self) -> None:
        """The manager runs, the services do not."""

    def start_all(self) -> None:
        """Starts every service; returns when the manager says that all run, by its own default of what that means."""

    def down(self) -> None:
        """Ends everything."""
        for process in self.processes:
            process.terminate()
            process.wait(30)

    def pids(self) -> list[int]:
        """The manager's own processes."""
        return [process.pid for process in self.processes]


class Blackhole(Manager):
    name = "blackhole"

    def __init__(self, folder: Path, script: str, count: int) -> None:
        super().__init__(folder, script, count)
        self.env = {**os.environ, "BLACKHOLE_HOME": str(folder)}
        names = [f"s{n}" for n in range(1, count + 1)]
        services = "".join(f"  {name}: {{command: [sh, {self.program}], restart: always}}\n" for name in names)
        (folder / "blackhole.yaml").write_text(f"services:\n{services}")

    def cli(self, *words: str) -> None:
        self.run(str(PROGRAMS / "blackhole"), *words, env=self.env)

    def up(self) -> None:
        self.cli("agent", "start")

    def start_all(self) -> None:
        self.cli("start")

    def down(self) -> None:
        self.cli("agent", "stop")

    def pids(self) -> list[int]:
        import json

        answer = subprocess.run(
            [PROGRAMS / "blackhole", "agent", "status", "--output", "json"],
            env=self.env, check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        found = json.loads(answer.stdout)
        found = found[0] if isinstance(found, list) else found
        return [found["agent_pid"], found["keeper_pid"]]


class S6(Manager):
    name = "s6"

    def up(self) -> None:
        for n in range(1, self.count + 1):
            service = self.folder / f"s{n}"
            service.mkdir()
            (service / "run").write_text(self.script)
            (service / "run").chmod(0o755)
            (service / "down").touch()
        self.background("s6-svscan", str(self.folder))
        for n in range(1, self.count + 1):
            service = self.folder / f"s{n}"
            _until(lambda service=service: subprocess.run(["s6-svok", service], check=False).returncode == 0)

    def start_all(self) -> None:
        for n in range(1, self.count + 1):
            self.run("s6-svc", "-u", str(self.folder / f"s{n}"))
        self.run("s6-svwait", "-u", "-a", *(str(self.folder / f"s{n}") for n in range(1, self.count + 1)))

    def down(self) -> None:
        self.run("s6-svscanctl", "-t", str(self.folder))
        for process in self.processes:
            process.wait(30)


class Runit(Manager):
    name = "runit"

    def up(self) -> None:
        for n in range(1, self.count + 1):
            service = self.folder / f"s{n}"
            service.mkdir()
            (service / "run").write_text(self.script)
            (service / "run").chmod(0o755)
            (service / "down").touch()
        self.background("runsvdir", "-P", str(self.folder))
        _until(lambda: all(_is_read(self.folder / f"s{n}/supervise/ok") for n in range(1, self.count + 1)))

    def start_all(self) -> None:
        self.run("sv", "-w", "30", "start", *(str(self.folder / f"s{n}") for n in range(1, self.count + 1)))

    def down(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGHUP)  # runsvdir ends its services on SIGHUP
            process.wait(30)


class Supervisord(Manager):
    name = "supervisord"

    def __init__(self, folder: Path, script: str, count: int) -> None:
        super().__init__(folder, script, count)
        self.programs = venv("supervisor") / "bin"
        programs = "".join(
            f"[program:s{n}]\ncommand=sh {self.program}\nautostart=false\nautorestart=true\n"
            for n in range(1, count + 1)
        )
        self.conf = folder / "supervisord.conf"
        self.conf.write_text(
            f"[unix_http_server]\nfile={folder}/s.sock\n[supervisord]\nlogfile={folder}/s.log\npidfile={folder}/s.pid\n"
            f"nodaemon=true\nchildlogdir={folder}\n[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{folder}/s.sock\n{programs}"
        )

    def up(self) -> None:
        self.background(str(self.programs / "supervisord"), "-c", str(self.conf))
        _until((self.folder / "s.sock").exists)

    def start_all(self) -> None:
        self.run(str(self.programs / "supervisorctl"), "-c", str(self.conf), "start", "all")


def _is_read(fifo: Path) -> bool:
    """Whether a runsv listens there."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _until(condition: object, timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError("the manager did not come up, or did not end")
        time.sleep(0.01)


@contextlib.contextmanager
def managed(kind: type[Manager], count: int) -> Iterator[tuple[Manager, Roll]]:
    """The manager up, its services declared and down; everything is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bhb-", dir="/tmp"))
    roll = Roll(folder)
    (folder / "home").mkdir()
    manager = kind(folder / "home", roll.script(), count)
    try:
        manager.up()
        yield manager, roll
    finally:
        manager.down()
        roll.close()
        _until(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists())  # some end after their manager
