"""Moments as people write them on a command line."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from functools import lru_cache

from bhtui.core.errors import UsageError
from bhtui.core.units import parse_duration

_SECONDS, _CLOCK = r"\d{9,11}(\.\d+)?$", r"(\d{1,2}):(\d{2})(?::(\d{2}))?$"
_DATE = r"\d{4}-\d{2}"


def local_text(time_ns: int) -> str:
    """`2026-03-01 13:00:00.123` in this machine's time zone, for people."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{_second_text(seconds)}.{rest // 1_000_000:03d}"


@lru_cache(maxsize=256)
def _second_text(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def moment_ns(text: str, option: str, now: datetime) -> int:
    """Unix nanoseconds of `1h` or `90s` (so long before now), `14:30` or `14:30:05` (the last such time of day), an
    ISO 8601 date or time (local unless it says otherwise), or a number of Unix seconds; `now` has a time zone.

    Raises UsageError.
    """
    try:
        when = _moment(text.strip(), now)
    except (ValueError, OverflowError):
        raise UsageError(
            f"cannot read {option} {text!r} as a time; write for example 15m, 14:30, 2026-03-01 or 2026-03-01T14:30:00Z"
        ) from None
    return round(when.timestamp() * 1_000_000) * 1000


def ago_ns(text: str) -> int | None:
    """Nanoseconds of an age (`1h`, `90s`, `now`), at least one; None: it is no age, but a moment, or neither."""
    text = text.strip()
    if text == "now":
        return 1
    if _is_moment(text):
        return None
    try:
        return max(1, round(parse_duration(text) * 1_000_000_000))
    except ValueError:
        return None


def _is_moment(text: str) -> bool:
    return any(re.match(each, text) for each in (_SECONDS, _CLOCK, _DATE))


def _moment(text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    if re.match(_SECONDS, text):
        return datetime.fromtimestamp(float(text), now.tzinfo)
    if match := re.match(_CLOCK, text):
        hour, minute, second = (int(part or 0) for part in match.groups())
        when = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return when if when <= now else when - timedelta(days=1)
    if re.match(_DATE, text):
        when = datetime.fromisoformat(text)
        return when if when.tzinfo else when.replace(tzinfo=now.tzinfo)
    return now - timedelta(seconds=parse_duration(text))
