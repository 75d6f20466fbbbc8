"""Bytes and times of a line as text that any receiver can take."""

from __future__ import annotations

import functools
import time


def text_of(data: bytes) -> str:
    """UTF-8; what is not is written as \\xNN, as `blackhole logs` shows it, and a zero byte as \\x00."""
    text = data.decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00") if "\0" in text else text


def stamp(time_ns: int, digits: int = 9) -> str:
    """RFC 3339 in UTC, with so many digits of the second."""
    seconds, rest = divmod(max(0, time_ns), 1_000_000_000)
    return f"{_second(seconds)}.{f'{rest:09d}'[:digits]}Z"


@functools.lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
