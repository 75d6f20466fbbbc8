"""Every value says where it comes from, and no secret is in what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.config.effective import Value, effective
from bhtui.config.layers import Around
from bhtui.config.load import gather, read
from bhtui.core.mask import MASK

MAIN = """\
include: conf.d/*.yaml
services:
  web:
    command: [web, --password, hunter2, "http://u:hunter2@x/"]
    env_file: web.env
    environment: [A=1, "API_TOKEN=hunter2", "DB=${DB}"]
    secrets: {S: /hunter2}
    replicas: ${N:-1}
    restart: always
    limits: {memory: 64M}
    depends_on: [db]
alerts:
  - {name: a, condition: up}
profiles:
  big: {services: {web: {limits: {memory: 1G}, environment: {A: 2}}}}
"""


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Value]:
    (tmp_path / "main.yaml").write_text(MAIN)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/db.yaml").write_text("\nservices: {db: {command: db}}\n")
    (tmp_path / "web.env").write_text("# x\nPLAIN=hunter2\nA=hunter2\n")
    text = gather(tmp_path / "main.yaml", ("big",))
    found = effective(read(text, "main.yaml", tmp_path, Around("h", {"DB": "hunter2", "N": "3"})))
    assert "hunter2" not in repr(found)
    return {each.path: Value(each.path, each.value, each.origin.replace(f"{tmp_path}/", "")) for each in found}


@pytest.mark.parametrize(
    ("path", "value", "origin"),
    [
        ("services.web.command", ["web", "--password", MASK, f"http://{MASK}@x/"], "main.yaml:4"),
        ("services.web.environment.A", "2", "main.yaml:15, profiles.big"),
        ("services.web.environment.API_TOKEN", MASK, "main.yaml:6"),
        ("services.web.environment.DB", MASK, "main.yaml:6, ${DB}"),
        ("services.web.environment.PLAIN", MASK, "web.env:2"),
        ("services.web.secrets.S", MASK, "main.yaml:7"),
        ("services.web.replicas", 3, "main.yaml:8, ${N}"),
        ("services.web.restart.policy", "always", "main.yaml:9"),
        ("services.web.restart.delay", 0.02, "default"),
        ("services.web.limits.memory", 1 << 30, "main.yaml:15, profiles.big"),
        ("services.web.limits.cpu", None, "default"),
        ("services.web.depends_on.db.condition", "service_started", "main.yaml:11"),
        ("services.db.command", ["db"], "conf.d/db.yaml:2"),
        ("services.db.stop_grace_period", 10.0, "default"),
        ("alerts[0].name", "a", "main.yaml:13"),
        ("alerts[0].for", 0.0, "default"),
        ("logging.level", "info", "default"),
    ],
)
def test_values_and_their_origins(values: dict[str, Value], path: str, value: object, origin: str) -> None:
    assert values[path] == Value(path, value, origin)
