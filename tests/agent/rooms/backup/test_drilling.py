"""Drills, with the real engine: a service brought back beside itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.folders import secret_file
from tests.live import require
from tests.live.home import home
from tests.ports import free_port

SERVER = """
import http.server, os, pathlib
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path("{data}/state").read_text() == "good" else 500)
        self.end_headers()
    def log_message(self, *words): print("asked", flush=True)
http.server.HTTPServer(("127.0.0.1", {port}), Answer).serve_forever()
"""


def yaml(folder: Path, port: int, patience: str) -> str:
    script = folder / "server.py"
    script.write_text(SERVER.format(data=folder / "data", port=port))
    secret_file(folder / "password")
    return f"""
services:
  shop:
    command: [python3, {script}]
    healthcheck: {{http: "http://127.0.0.1:{port}/", interval: 1s}}
    data: [{folder}/data]
backup:
  storage: {{type: local, path: {folder}/repo}}
  password_file: {folder}/password
  drill: {{timeout: {patience}}}
"""


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_backup_that_brings_the_service_back_is_told_from_one_that_does_not(tmp_path: Path, port: int) -> None:
    require.root()
    state = tmp_path / "data" / "state"
    state.parent.mkdir()
    state.write_text("good")
    with home(yaml(tmp_path, port, "60s")) as made:
        made.cli("start", "shop")
        made.cli("backup", "create", "--full", timeout=60)
        assert ": well" in made.cli("backup", "drill", timeout=90).stderr
        (good,) = json.loads(made.cli("backup", "list", "--output", "json").stdout)
        assert good["drilled_at"] or good["drilled_ns"]
        state.write_text("bad")
        made.cli("backup", "create", timeout=60)
        state.write_text("good")
        made.write_config(yaml(tmp_path, port, "3s"))
        made.cli("restart", "--reload-config")
        failed = made.cli("backup", "drill", "--service", "shop", timeout=90, code=1)
        assert "was not well within 3 s" in failed.stderr
        assert made.status()["shop-1"]["health"] == "healthy"
        assert not list((made.paths.state / "drill").iterdir())
        restored = made.cli("backup", "restore", good["id"][:8], "--yes", timeout=90)
        assert restored.returncode == 0
        assert state.read_text() == "good"
