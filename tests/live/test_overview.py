"""The overview with a real keeper, a real agent and real processes."""

from __future__ import annotations

import json
from typing import Any

from tests.live.home import Home, home
from tests.waiting import until


def overview(here: Home) -> dict[str, Any]:
    [said] = json.loads(here.cli("overview", "--output", "json").stdout)
    found: dict[str, Any] = said
    return found


def test_a_host_without_configuration_is_useful_at_once() -> None:
    with home() as here:
        assert "`blackhole overview`" in here.cli("status").stdout
        said = overview(here)
        assert said["services"] == 0
        assert said["machine"]["memory_total_bytes"] > 0
        assert said["processes"]
        for line in here.cli("overview").stdout.splitlines()[:6]:
            assert len(line) <= 80


def test_what_a_service_listens_on_is_said_to_be_its_own() -> None:
    config = """
        services:
          web:
            command: [python3, -m, http.server, "18473", --bind, 127.0.0.1]
            healthcheck: {tcp: 18473}
    """
    with home(config) as here:
        here.cli("start")
        [mine] = until(lambda: [each for each in overview(here)["listeners"] if each["port"] == 18473])
        assert (mine["instance"], mine["pid"]) == ("web-1", here.status()["web-1"]["pid"])
