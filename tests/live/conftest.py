"""What several live tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.home import Home, home
from tests.live.hosts import TestHosts
from tests.live.machine import USER, Machine
from tests.live.machine_image import image
from tests.live.operators import Operator
from tests.live.operators import operators as both


@pytest.fixture
def hosts() -> Iterator[TestHosts]:
    """A maker of hosts behind OpenSSH."""
    with TestHosts() as made:
        yield made


@pytest.fixture
def here(hosts: TestHosts, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The operator's machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    with home() as made:
        yield made


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """One booted Debian host for all tests that want one."""
    with Machine(image()) as made:
        yield made


@pytest.fixture(scope="session")
def operators(machine: Machine) -> Iterator[dict[str, Operator]]:
    """Its users with the command line. The agents that they placed are left to whoever comes next, as compiled they
    start in a tenth of the time; the last test takes them away."""
    with both(machine) as made:
        yield made


@pytest.fixture(scope="session")
def root(operators: dict[str, Operator]) -> Operator:
    return operators["root"]


@pytest.fixture(scope="session")
def ops(operators: dict[str, Operator]) -> Operator:
    """The ordinary user."""
    return operators[USER]
