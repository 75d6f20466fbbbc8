"""How numbers of a metric are written for people: by the unit that its name ends with."""

from __future__ import annotations

from .units import format_size


def shown(metric: str, value: float) -> str:
    """`12 %`, `3.4 M`, `1.2 K/s`, `45 ms`, `310`."""
    if metric.endswith("_percent"):
        return f"{value:.0f} %" if abs(value) >= 9.95 or value == 0 else f"{value:.1f} %"
    if metric.endswith("_bytes_per_second"):
        return f"{format_size(value)}/s"
    if metric.endswith("_per_second"):
        return f"{_number(value)}/s"
    if metric.endswith("_bytes"):
        return format_size(value)
    if metric.endswith("_seconds"):
        return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.2f} s"
    if metric.startswith("load"):
        return _number(value)
    return f"{value:.0f}" if abs(value) < 10_000 else f"{value / 1000:.0f} k"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


SPARKS = "▁▂▃▄▅▆▇█"
PLAIN_SPARKS = "_.-=+*#@"


def spark(times: list[float], values: list[float], span: tuple[float, float], width: int, signs: str = SPARKS) -> str:
    """A line of `width` signs for a span of time: the greatest of each part, from 0 to the greatest of all; a part
    without a value is blank."""
    first, last = span
    parts: list[float | None] = [None] * width
    for time, value in zip(times, values, strict=True):
        at = int((time - first) / max(1e-9, last - first) * width)
        if 0 <= at <= width and value == value:
            at = min(at, width - 1)
            seen = parts[at]
            parts[at] = value if seen is None or value > seen else seen
    top = max((value for value in parts if value is not None), default=0.0)
    return "".join(" " if value is None else signs[_height(value, top, len(signs))] for value in parts)


def _height(value: float, top: float, steps: int) -> int:
    return min(steps - 1, max(0, int(value / top * steps))) if top > 0 else 0
