"""Rows as requests of remote write: `WriteRequest` of prometheus/prompb/remote.proto, a sample each series.

Labels are encoded once for each series and kept, because they are nearly all of a request and never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..figures import EXPORTED
from ..model import Row
from .snappy import block, varint

MOST_SAMPLES = 2000
"""In one request, as Prometheus itself sends."""
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The value that ends a series at once (Prometheus' stale marker)."""
SLACK = 4
"""So many times more series than there are may be kept encoded."""

Key = tuple[str, tuple[str, ...]]
"""The name of a series, and the values of its labels."""


class Encoder:
    """`common` are the labels on every series. A series that was there the time before and is gone is ended."""

    def __init__(self, common: Mapping[str, str]) -> None:
        self._common = dict(common)
        self._labels: dict[Key, bytes] = {}
        self._before: frozenset[Key] = frozenset()

    def requests(self, figures: Mapping[str, Sequence[Row]], time_ms: int) -> list[tuple[bytes, int]]:
        """The bodies, packed, and how many samples are in each."""
        values = {(name, labels): value for name, rows in figures.items() for labels, value in rows}
        gone = self._before - values.keys()
        self._before = frozenset(values)
        samples = [*values.items(), *((key, STALE) for key in sorted(gone))]
        bodies = [
            (block(self._pieces(part, time_ms)), len(part))
            for part in (samples[at : at + MOST_SAMPLES] for at in range(0, len(samples), MOST_SAMPLES))
        ]
        if len(self._labels) > SLACK * max(1, len(samples)):
            self._labels = {key: self._labels[key] for key in values}
        return bodies

    def _pieces(self, samples: Iterable[tuple[Key, float]], time_ms: int) -> Iterator[tuple[bytes, bytes, bytes]]:
        stamp = b"\x10" + varint(time_ms)
        size = 9 + len(stamp)
        for key, value in samples:
            labels = self._labels.get(key) or self._encoded(key)
            yield (
                b"\x0a" + varint(len(labels) + 2 + size),
                labels,
                b"\x12" + varint(size) + b"\x09" + struct.pack("<d", value) + stamp,
            )

    def _encoded(self, key: Key) -> bytes:
        name, values = key
        labels = {**self._common, **dict(zip(label_names(name), values, strict=True)), "__name__": name}
        made = b"".join(_label(each, value) for each, value in sorted(labels.items()) if value)
        self._labels[key] = made
        return made


def label_names(name: str) -> tuple[str, ...]:
    """Of a series of EXPORTED, or of one of the three that make a histogram."""
    if name in EXPORTED:
        return EXPORTED[name].labels
    family, _, part = name.rpartition("_")
    return (*EXPORTED[family].labels, *(("le",) if part == "bucket" else ()))


def _label(name: str, value: str) -> bytes:
    inner = _text(1, name) + _text(2, value)
    return b"\x0a" + varint(len(inner)) + inner


def _text(number: int, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return bytes([number << 3 | 2]) + varint(len(data)) + data
