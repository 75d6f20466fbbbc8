"""Cells that several tables share."""

from __future__ import annotations

from datetime import datetime

from bhtui.core.units import format_age, format_size

from ..models.trouble import SIGN, STYLE, Level
from ..paint import Spans, plain, spark

NOTHING: Spans = (("-", "faint"),)


def text(value: str, style: str = "") -> Spans:
    """A text, or a dash."""
    return ((plain(value), style),) if value else NOTHING


def sign(level: Level) -> Spans:
    """How bad, as a sign and a colour."""
    return ((SIGN[level], STYLE[level]),)


def size(count: float | None, style: str = "") -> Spans:
    """Bytes, or a dash."""
    return ((format_size(count), style),) if count is not None else NOTHING


def age(seconds: float | None, style: str = "") -> Spans:
    """An age, or a dash."""
    return ((format_age(seconds), style),) if seconds is not None else NOTHING


def heat(share: float) -> str:
    """The style of a share of what there is."""
    return "bad" if share >= 0.95 else "warn" if share >= 0.85 else ""


def load(history: tuple[float, ...], value: float | None, width: int, top: float = 100.0) -> Spans:
    """A sparkline and the percentage it ends in."""
    if value is None:
        return NOTHING
    number = f"{value:3.0f} %"
    style = heat(value / top)
    bars = spark(history, width - len(number) - 1, top)
    return ((bars, f"g{min(6, 2 + int(value / top * 4))}" if width > len(number) else ""), (" ", ""), (number, style))


def clock(time_ns: int, millis: bool = False) -> str:
    """A moment as a person at this machine reads it, without the date."""
    local = datetime.fromtimestamp(time_ns / 1e9).astimezone()
    return local.strftime("%H:%M:%S") + (f".{time_ns // 10**6 % 1000:03d}" if millis else "")
