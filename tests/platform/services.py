"""The reference services as real processes, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.waiting import until

NEEDS = {
    "identity": (),
    "storage": ("identity",),
    "ledger": ("identity", "storage"),
    "node": ("identity", "storage"),
    "indexer": ("identity", "storage"),
}


@dataclass
class Running:
    """One process and what it has logged."""

    name: str
    port: int
    metrics_port: int
    log_file: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["msg"] == message]

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass
class Platform:
    """Services below one folder."""

    folder: Path
    services: dict[str, Running] = field(default_factory=dict)

    def start(self, name: str, environ: dict[str, str] | None = None, *more: str) -> Running:
        """Starts one and waits until it is ready."""
        running = self.launch(name, environ, *more)
        until(lambda: running.said("ready") or running.process.poll() is not None, what=f"{name} ready")
        assert running.process.poll() is None, running.log_file.read_text()
        return running

    def launch(self, name: str, environ: dict[str, str] | None = None, *more: str) -> Running:
        port, metrics_port = free_port(), free_port()
        words = ["--port", str(port), "--metrics-port", str(metrics_port), "--data", str(self.folder / name)]
        for need in NEEDS[name]:
            words += [f"--{need}", self.services[need].address]
        if NEEDS[name]:
            words += ["--token-file", str(self.folder / "identity" / "service.token")]
        log_file = self.folder / f"{name}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"bhtui.platform.{name}", *words, *more],
                stdout=log,
                stderr=log,
                env={**os.environ, "BLACKHOLE_FAULTS": "1", **(environ or {})},
            )
        self.services[name] = Running(name, port, metrics_port, log_file, process)
        return self.services[name]

    @property
    def targets(self) -> dict[str, str]:
        return {name: running.address for name, running in self.services.items()}


@contextmanager
def platform(folder: Path, *names: str) -> Iterator[Platform]:
    """The named services, started in order and ended in the other."""
    made = Platform(folder)
    try:
        for name in names:
            made.start(name)
        yield made
    finally:
        for running in reversed(made.services.values()):
            running.end()
