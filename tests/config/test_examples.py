"""The examples that ship are true and complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bhtui.config.load import load
from bhtui.config.model import SECTIONS
from bhtui.config.services import Service
from bhtui.config.validation import keys_of
from bhtui.core.graph import levels
from bhtui.core.spec import Condition, ProbeKind, Restart
from bhtui.ssh import inventory

CONFIGS = Path(__file__).parents[2] / "configs"


def models(annotation: Any) -> set[type[BaseModel]]:
    """All sections within an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = [models(field.annotation) for field in annotation.model_fields.values()]
        return {annotation}.union(*inner)
    return set().union(*map(models, get_args(annotation)))


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIGS.glob("*.yaml") if path.name != "hosts.yaml"))
def test_every_example_is_read(name: str) -> None:
    spec = load(CONFIGS / name)
    assert spec.services
    assert levels({name: service.depends_on for name, service in spec.services.items()})


def test_the_complete_example_shows_every_key() -> None:
    text = (CONFIGS / "blackhole.yaml").read_text()
    known = {"services", *SECTIONS}
    for model in {model for root in (Service, *SECTIONS.values()) for model in models(root)}:
        known.update(keys_of(model))
    missing = {key for key in known if not re.search(rf"(?<![\w-]){key}(?![\w-])", text)}
    assert not missing


def test_the_example_of_real_software() -> None:
    services = load(CONFIGS / "redis-nginx-postgresql.yaml").services
    assert services["postgresql"].stop.signal == "SIGINT"
    assert services["postgresql"].user == "postgres"
    assert services["nginx"].command[-1] == "daemon off;"
    for name in ("redis", "nginx", "postgresql"):
        assert services[name].probe.kind is not ProbeKind.NONE
        assert services[name].ports and services[name].data
        assert Condition.COMPLETED in services[name].depends_on.values()
    for name in ("folders", "nginx-config", "postgresql-init"):
        assert services[name].restart.policy is Restart.NO


def test_the_example_of_hosts_is_read_and_shows_every_key() -> None:
    hosts = inventory.load(CONFIGS / "hosts.yaml", CONFIGS / "none").hosts
    assert hosts["db-1"].production
    assert hosts["db-1"].read_only
    assert [hop.name for hop in hosts["web-1"].jump] == ["bastion"]
    text = (CONFIGS / "hosts.yaml").read_text()
    assert not [key for key in inventory._KEYS if not re.search(rf"\b{key}:", text)]
