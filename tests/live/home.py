"""A real keeper and agent in a folder of their own, for one test; nothing of it is left afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhtui.core.paths import Paths, resolve
from bhtui.rpc import quick
from tests.waiting import until

MARK = "BLACKHOLE_HOME"


@dataclass(frozen=True)
class Home:
    """One BLACKHOLE_HOME."""

    path: Path

    @property
    def paths(self) -> Paths:
        return resolve({MARK: str(self.path)}, os.getuid(), Path.home())

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, MARK: str(self.path), "NO_COLOR": "1"}

    def write_config(self, text: str) -> None:
        self.paths.config.write_text(textwrap.dedent(text))

    def cli(self, *arguments: str, code: int | None = 0, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """Runs `blackhole` as a person would; fails when its exit code is another (None: any)."""
        program = [sys.executable, "-m", "bhtui.cli.main", *arguments]
        done = subprocess.run(program, env=self.environ, capture_output=True, text=True, timeout=timeout, check=False)
        if code is not None and done.returncode != code:
            raise AssertionError(
                f"blackhole {' '.join(arguments)}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
            )
        return done

    def status(self, *names: str) -> dict[str, dict[str, Any]]:
        """Instances by name; empty while no agent answers."""
        try:
            return {each["instance"]: each for each in quick.status(str(self.paths.agent_socket), names, timeout=20)}
        except OSError:
            return {}

    def agent(self) -> dict[str, Any]:
        """`agent status`, as JSON."""
        found: dict[str, Any] = json.loads(self.cli("agent", "status", "--output", "json").stdout)
        return found

    def agent_pid(self) -> int:
        """Of the agent that holds the lock, without asking it."""
        return int((self.paths.run / "agent.lock").read_text() or 0)

    def keeper_pid(self) -> int:
        """Of the keeper that holds the lock."""
        return int((self.paths.run / "keeper.lock").read_text() or 0)

    def wait_state(self, instance: str, state: str, deadline: float = 30) -> dict[str, Any]:
        return until(
            lambda: (found := self.status().get(instance)) and found["state"] == state and found,
            deadline,
            f"{instance} {state}: {self.status().get(instance)}",
        )

    def processes(self) -> list[int]:
        """Every process whose environment says that it belongs to this home."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._owns(pid)]

    def _owns(self, pid: int) -> bool:
        wanted = {f"{MARK}={self.path}".encode(), f"BLACKHOLE_RUN={self.paths.run}".encode()}
        try:
            return bool(wanted & set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))) and pid != os.getpid()
        except OSError:
            return False


def _killed(made: Home) -> list[int]:
    """Kills what there is, and says what that was: keeper and agent start each other, so once is not enough."""
    found = made.processes()
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    return found


@contextmanager
def home(config: str = "") -> Iterator[Home]:
    """A home with this configuration; whatever runs in it at the end is stopped, by force if need be."""
    path = Path(tempfile.mkdtemp(prefix="bh-", dir="/tmp"))
    made = Home(path)
    if config:
        made.write_config(config)
    try:
        yield made
    finally:
        if made.paths.agent_socket.exists():
            made.cli("agent", "stop", code=None)
        until(lambda: not _killed(made), 10, "its processes are gone")
        shutil.rmtree(path, ignore_errors=True)
