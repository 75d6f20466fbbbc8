"""Durations, sizes and ages, read as people write them and written as people read them."""

from __future__ import annotations

import re
import signal
import time

_DURATION = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0,
    "h": 3600.0, "d": 86400.0, "w": 604800.0,
}  # fmt: skip
_SIZE = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|min|s|m|h|d|w)\s*")
_SIZE_WHOLE = re.compile(r"(\d+(?:\.\d+)?)\s*([BKMGT]?)(?:i?B)?", re.IGNORECASE)


def parse_duration(text: str | int | float) -> float:
    """Seconds in `10s`, `1m30s`, `500ms`, `1h`, `7d`, `2w`; a bare number is seconds. Raises ValueError."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        if text < 0:
            raise ValueError(f"{text} is negative; a duration is zero or more")
        return float(text)
    stripped = str(text).strip()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        return float(stripped)
    parts = list(_DURATION_PART.finditer(stripped))
    if not parts or "".join(part.group(0) for part in parts) != stripped:
        raise ValueError(f"{text!r} is not a duration; write for example 500ms, 10s, 1m30s, 2h, 7d")
    return sum(float(part.group(1)) * _DURATION[part.group(2)] for part in parts)


def parse_size(text: str | int) -> int:
    """Bytes in `64M`, `100MB`, `4G`, `1.5 GiB`; powers of 1024, as Compose and cgroups count. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 0:
            raise ValueError(f"{text} is negative; a size is zero or more")
        return text
    match = _SIZE_WHOLE.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write for example 512K, 64M, 4G")
    return int(float(match.group(1)) * _SIZE[match.group(2).upper()])


def format_size(count: float) -> str:
    """`1023 B`, `4.0 K`, `64 M`, `1.2 G`: three significant places at most, powers of 1024."""
    value = float(count)
    for unit in ("B", "K", "M", "G"):
        if abs(value) < 1023.5:
            return f"{value:.0f} {unit}" if unit == "B" or abs(value) >= 9.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.0f} T" if abs(value) >= 9.95 else f"{value:.1f} T"


def counted(number: int, what: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def format_age(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h`, `5 d`: the largest whole unit, as a column shows it."""
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def format_time(time_ns: int) -> str:
    """RFC 3339 with nanoseconds, in UTC, for Unix nanoseconds: `2026-03-01T12:00:00.123456789Z`."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def format_count(number: int) -> str:
    """A number in few columns: `12,345`, `123 k`, `1.2 M`."""
    if number < 100_000:
        return f"{number:,}"
    return f"{number / 1e6:.1f} M" if number >= 999_500 else f"{number / 1e3:.0f} k"


def signal_name(number: int) -> str:
    """`SIGTERM` for 15; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
