"""Services started on trial: with other data, apart from the host."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.trial.model import Tried, Wanted
from bhtui.agent.trial.run import attempt
from bhtui.core.spec import ProbeKind, ProbeSpec
from tests.folders import open_folder
from tests.live import require

SERVER = """
import http.server, os, pathlib, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path(sys.argv[2], "state").read_text() == "good" else 500)
        self.end_headers()
pathlib.Path(sys.argv[2], "written").write_text("by the trial")
pathlib.Path(sys.argv[3]).write_text(f"{os.getpid()}")
print("up", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.fixture(autouse=True)
def _able() -> None:
    require.root()


def wanted(
    tmp_path: Path, *argv: str, probe: ProbeSpec, places: tuple[tuple[str, str], ...] = (), **more: Any
) -> Wanted:
    folder = tmp_path / "trial"
    folder.mkdir()
    spawn = {"key": "a", "argv": list(argv), "env": {"PATH": os.environ["PATH"]}, "cwd": "/", **more}
    return Wanted("shop-1", spawn, probe, "", places, folder, 20.0)


async def test_it_sees_other_data_on_its_own_port_and_changes_nothing_of_the_host(tmp_path: Path) -> None:
    live, staged, pid_file = tmp_path / "live", tmp_path / "staged", tmp_path / "pid"
    for folder, state in ((live, "bad"), (staged, "good")):
        folder.mkdir()
        (folder / "state").write_text(state)
    pid_file.write_text("of the live one")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        probe = ProbeSpec(ProbeKind.HTTP, f"http://127.0.0.1:{port}/")
        argv = (sys.executable, "-c", SERVER, str(port), str(live), str(pid_file))
        tried = await attempt(wanted(tmp_path, *argv, probe=probe, places=((str(staged), str(live)),)))
    assert tried.problem == ""
    assert tried.seconds > 0
    assert (staged / "written").exists()
    assert not (live / "written").exists()
    assert pid_file.read_text() == "of the live one"


async def test_what_is_not_well_is_told_with_its_output(tmp_path: Path) -> None:
    probe = ProbeSpec(ProbeKind.TCP, "127.0.0.1:9")
    tried = await attempt(wanted(tmp_path, "/bin/sh", "-c", "echo no such table; exit 4", probe=probe))
    assert (tried.problem, tried.output) == ("it ended with exit 4", "no such table")


@pytest.mark.parametrize(
    ("kind", "target", "command"),
    [(ProbeKind.NONE, "", ()), (ProbeKind.LOG, "ready .*now", ()), (ProbeKind.COMMAND, "", ("test", "-e", "/tmp"))],
)
async def test_every_probe_is_asked_in_there(
    tmp_path: Path, kind: ProbeKind, target: str, command: tuple[str, ...]
) -> None:
    script = "echo; echo I am ready right now; sleep 60"
    tried = await attempt(wanted(tmp_path, "/bin/sh", "-c", script, probe=ProbeSpec(kind, target, command)))
    assert tried.problem == ""


async def test_it_runs_as_its_user_and_all_ends_with_it() -> None:
    with open_folder() as tmp_path:
        (tmp_path / "data").mkdir()
        os.chown(tmp_path / "data", 65534, 65534)
        script = f"id -u > {tmp_path}/data/who; (sleep 1000 & echo $! > {tmp_path}/data/child); sleep 1000"
        places = ((str(tmp_path / "data"), str(tmp_path / "data")),)
        job = wanted(
            tmp_path,
            "/bin/sh",
            "-c",
            script,
            probe=ProbeSpec(),
            places=places,
            uid=65534,
            gid=65534,
            groups=(),
            umask=0o27,
        )
        assert await attempt(job) == Tried(seconds=pytest.approx(2, abs=10))
        assert (tmp_path / "data" / "who").read_text() == "65534\n"
        marked = [entry for entry in os.listdir("/proc") if entry.isdigit() and _has(entry, f"{tmp_path}/data/who")]
        assert marked == []


def _has(pid: str, text: str) -> bool:
    try:
        return text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
