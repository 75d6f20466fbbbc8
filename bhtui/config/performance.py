"""`performance`: settings handed on to services as BLACKHOLE_TUNING_<KEY>. Their meaning is the service's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from .fields import text

_KEY = re.compile(r"[a-z][a-z0-9_]*")


def tuning(value: Any) -> dict[str, str]:
    """Keys and values of one service, values as they were written. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError("this must be a mapping of settings to values")
    if wrong := [key for key in value if not _KEY.fullmatch(key)]:
        raise ValueError(f"{wrong[0]!r} is not a setting; use a-z, 0-9 and _, and begin with a letter")
    return {key: text(item) for key, item in value.items()}


Tuning = Annotated[dict[str, str], BeforeValidator(tuning)]
