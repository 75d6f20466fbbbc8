"""A real keeper in a short temporary directory, and what tests ask of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bhtui.keeper import client, proc, wire
from tests.waiting import until

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] .*", re.DOTALL)
IDLE = [sys.executable, "-c", "import time; time.sleep(1000)"]


def skip(reason: str) -> NoReturn:
    """Skips, or fails where everything must be there."""
    if os.environ.get("BHTUI_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Running:
    """A keeper with a connection; `events` collects what it tells by itself."""

    def __init__(self, root: Path, agent: Sequence[str]) -> None:
        self.root, self.run, self.logs = root, root / "run", root / "log"
        self.agent = list(agent)
        self.events: list[dict[str, Any]] = []
        client.start(self.run, self.logs, self.agent)
        self.connect()

    def connect(self) -> None:
        self.client = client.KeeperClient(self.run, timeout=30)
        self.pid: int = self.client.request("hello", events=True)["pid"]

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        return self.client.request(op, **fields)

    def spawn(self, key: str, argv: Sequence[str], **fields: Any) -> dict[str, Any]:
        log = {"path": str(self.log(key)), **fields.pop("log", {})}
        env = fields.pop("env", dict(os.environ))
        return self.ask("spawn", key=key, argv=list(argv), log=log, env=env, **fields)

    def sh(self, key: str, script: str, **fields: Any) -> dict[str, Any]:
        return self.spawn(key, ["/bin/sh", "-c", script], **fields)

    def log(self, key: str) -> Path:
        name = key.partition("#")[0]
        return self.logs / name / f"{name}.log"

    def entry(self, key: str) -> dict[str, Any] | None:
        return next((one for one in self.list() if one["key"] == key), None)

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with client.KeeperClient(self.run) as other:
            after, more = 0, True
            while more:
                wire.send(other._sock, {"op": "list", "id": 1, "after": after})
                while True:
                    message, fds = other.receive()
                    wire.close_all(fds)
                    if "end" in message:
                        more = message["more"]
                        break
                    found.append(message["process"])
                    after = message["process"]["order"]
        return found

    def ended(self, key: str) -> dict[str, Any]:
        """The exit of a process, waiting for it."""

        def there() -> dict[str, Any] | None:
            entry = self.entry(key)
            return entry["exit"] if entry else None

        return until(there, 60, f"end of {key}")

    def lines(self, key: str) -> list[bytes]:
        """Every line of every file of the log, oldest first."""
        return log_lines(self.log(key))

    def texts(self, key: str) -> list[str]:
        return [text_of(line) for line in self.lines(key)]


def log_files(active: Path) -> list[Path]:
    return [*sorted(active.parent.glob(f"{active.stem}.2*{active.suffix}")), active]


def log_lines(active: Path) -> list[bytes]:
    lines: list[bytes] = []
    for path in log_files(active):
        if path.exists():
            content = path.read_bytes()
            assert not content or content.endswith(b"\n"), f"a partial line in {path}"
            lines += content.split(b"\n")[:-1]
    assert all(map(LINE.fullmatch, lines))
    return lines


def text_of(line: bytes) -> str:
    return line.split(b" ", 3)[3].decode(errors="surrogateescape")


def is_alive(pid: int, start: int = 0) -> bool:
    found = proc.start_of(pid)
    return bool(found) and start in (0, found)


def kill_now(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def running_keeper(agent: Sequence[str] = IDLE) -> Iterator[Running]:
    """A keeper that is gone afterwards, with all it started."""
    root = Path(tempfile.mkdtemp(prefix="bhk", dir="/tmp"))
    try:
        keeper = Running(root, agent)
        try:
            yield keeper
        finally:
            put_away(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def put_away(root: Path) -> None:
    """Ends whatever keeper listens there now, and its services."""
    with suppress(client.KeeperError, OSError):
        client.shutdown(root / "run", force=True)
    owner = (root / "run" / "keeper.lock").read_text().strip()
    if owner:
        until(lambda: not is_keeper(int(owner), root), 20, "the keeper to end")


def end_hard(root: Path) -> None:
    """Ends services and keeper when the keeper's agent is this very process, which `shutdown` would end too."""
    pid = client.stats(root / "run")["pid"]
    client.emergency(root / "run")
    kill_now(pid)
    until(lambda: not is_alive(pid), 20, "the keeper to end")


def is_keeper(pid: int, root: Path) -> bool:
    return is_alive(pid) and str(root / "run").encode() in proc.read(f"/proc/{pid}/cmdline")


def python(code: str) -> list[str]:
    """A command that runs a piece of Python."""
    return [sys.executable, "-u", "-c", code]


def can(argv: Sequence[str]) -> bool:
    """Whether a command works here."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
