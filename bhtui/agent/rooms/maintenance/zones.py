"""Time zones by name, and the one of this host."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

LOCAL = Path("/etc/localtime")


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone of that name, or of the host. One that the host does not know is UTC: times must mean something."""
    for key in (name,) if name else (os.environ.get("TZ", "").removeprefix(":"),):
        try:
            if key:
                return ZoneInfo(key)
        except (OSError, ValueError, LookupError):
            return UTC
    try:
        with LOCAL.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC
