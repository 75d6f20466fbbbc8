"""Times as Go's encoding/json writes them: RFC 3339, nanoseconds without trailing zeros.

https://pkg.go.dev/time#Time.MarshalJSON
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from functools import lru_cache

BILLION = 1_000_000_000
_FIRST, _LAST = -62135596800, 253402300799
"""Years 1 and 9999: beyond, Go refuses to write a time."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))")


@lru_cache(4096)
def _second(seconds: int) -> str:
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"


def text(ns: int) -> str:
    """Unix nanoseconds as text, in UTC; years before 1 and after 9999 become those."""
    seconds, rest = divmod(ns, BILLION)
    if not _FIRST <= seconds <= _LAST:
        return text((_FIRST if seconds < _FIRST else _LAST) * BILLION)
    return f"{_second(seconds)}.{rest:09}".rstrip("0") + "Z" if rest else _second(seconds) + "Z"


def parse(text: str) -> int:
    """Unix nanoseconds. Raises ValueError."""
    second, point, fraction = text[:19], text[19:20], text[20:-1]
    if text[-1:] == "Z" and (point == "Z" or (point == "." and len(fraction) < 10 and fraction.isdigit())):
        return _seconds(second) * BILLION + int(fraction.ljust(9, "0"))
    if not (found := _FORM.fullmatch(text)):
        raise ValueError(f"{text!r} is not a time of RFC 3339")
    second, fraction, sign, hours, minutes = found.groups()
    seconds = _seconds(second)
    if sign:
        seconds -= (1 if sign == "+" else -1) * (int(hours) * 3600 + int(minutes) * 60)
    return seconds * BILLION + int((fraction or "0").ljust(9, "0"))


@lru_cache(4096)
def _seconds(text: str) -> int:
    found = datetime.fromisoformat(text)
    if text[10] != "T" or found.tzinfo is not None:
        raise ValueError(f"{text!r} is not a time of RFC 3339")
    since = found - _EPOCH
    return since.days * 86400 + since.seconds
