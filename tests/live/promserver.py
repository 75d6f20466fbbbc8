"""A real Prometheus server in a folder of its own, that can be ended and begun again with the same data."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live.require import program
from tests.ports import free_port
from tests.waiting import until


class Prometheus:
    """Takes remote writes; scrapes what its configuration says."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self._program = program("prometheus")
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        (folder / "prometheus.yml").write_text(config)

    def start(self) -> None:
        flags = [
            f"--config.file={self._folder}/prometheus.yml", f"--web.listen-address=127.0.0.1:{self.port}",
            f"--storage.tsdb.path={self._folder}/data", "--web.enable-remote-write-receiver",
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *flags], stdout=log, stderr=log)
        until(lambda: self.query("vector(1)"), 60, "Prometheus answers")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def query(self, text: str) -> list[dict[str, Any]]:
        """The series of an instant query; none while nobody answers."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return list(json.loads(answer.read())["data"]["result"])
        except OSError:
            return []


@contextmanager
def prometheus(folder: Path, config: str = "") -> Iterator[Prometheus]:
    made = Prometheus(folder, config)
    made.start()
    try:
        yield made
    finally:
        made.stop()
