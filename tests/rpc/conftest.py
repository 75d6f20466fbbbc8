"""A short folder: the path of a Unix socket has 107 bytes at most."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bh-", dir="/tmp") as name:
        yield Path(name)
