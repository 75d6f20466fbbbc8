"""Backups on another host, over a real OpenSSH server: what they need is placed when it is first needed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.folders import secret_file
from tests.live.home import Home
from tests.live.hosts import TestHosts, known

CONFIG = """\
services:
  job: {command: [sleep, "1000"], data: [DATA]}
backup: {storage: {type: local, path: REPO}, password_file: PASSWORD}
"""


def test_what_backups_need_is_placed_once_and_for_schedules_too(hosts: TestHosts, here: Home, tmp_path: Path) -> None:
    web = hosts.loopback("web")
    data, password = tmp_path / "data", secret_file(tmp_path / "password")
    data.mkdir()
    (data / "file").write_text("content")
    config = CONFIG.replace("DATA", str(data)).replace("REPO", str(tmp_path / "repo"))
    known(here, web, config=config.replace("PASSWORD", str(password)))
    layers = web.home / "state/layers"

    here.cli("--host", "web", "start")
    here.cli("--host", "web", "backup", "create", "--full")
    [listed] = json.loads(here.cli("--host", "web", "backup", "list", "--output", "json").stdout)
    own = (web.home / "blackhole.yaml").stat().st_size  # each takes the configuration along
    assert (listed["services"], listed["host"], listed["bytes_total"]) == (["job"], "web", 7 + own)
    placed = os.listdir(layers)
    assert [name.partition("-")[0] for name in placed] == ["backup"]
    (data / "file").write_text("lost")
    here.cli("--host", "web", "backup", "restore", "--service", "job", "--latest")
    assert (data / "file").read_text() == "content"
    assert os.listdir(layers) == placed
