"""Redis, nginx and PostgreSQL, by the configuration that ships as an example: started, used, killed, restarted, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import require
from tests.live.home import Home, home
from tests.waiting import until

EXAMPLE = Path(__file__).parents[2] / "configs" / "redis-nginx-postgresql.yaml"


@pytest.fixture(scope="module")
def running() -> Iterator[Home]:
    for program in ("redis-server", "nginx", "/usr/lib/postgresql/15/bin/postgres"):
        require.program(program)
    with home(EXAMPLE.read_text()) as made:
        made.cli("start", timeout=120)
        yield made


def redis(*words: str) -> str:
    port = 16379
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        return connection.recv(4096).decode()
