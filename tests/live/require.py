"""Programs that a test needs: missing, it is skipped here and fails in CI (BHTUI_REQUIRE_ALL=1)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def program(*names: str) -> str:
    """The path of the first of these programs that is there."""
    for name in names:
        if found := shutil.which(name) or (name if Path(name).exists() else None):
            return found
    missing(f"none of {', '.join(names)} is installed")
    raise AssertionError


def root() -> None:
    """For what only root can do: network namespaces, mounts, other users."""
    if os.getuid() != 0:
        missing("this needs root")


def missing(why: str) -> None:
    """Skips, or fails where everything must be there."""
    if os.environ.get("BHTUI_REQUIRE_ALL") == "1":
        pytest.fail(f"{why}, and BHTUI_REQUIRE_ALL is set")
    pytest.skip(why)
