"""The samples of the last hour on disk, so that the death of the agent leaves no hole before it.

A tape is a file that is only appended to; a new one is begun every half hour, whenever an agent starts and when the
clock was set back, and those that are older than the ring are removed. Records:

    length u32, kind u8, payload, crc32 u32     little-endian; the checksum is of kind and payload

- `L`: the layout of the ticks that follow, JSON: `[["api-1", "cpu_percent"], ...]`
- `T`: a tick: time i64 (Unix nanoseconds), then a float32 for each series of the layout; NaN: no sample

Nothing is flushed: what the kernel has been given outlives the process, and a power cut may cost the last seconds. A
record that was cut off ends the reading of its file.
"""

from __future__ import annotations

import json
import logging
import math
import os
import struct
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from .points import Key

log = logging.getLogger(__name__)

FILE_NS = 1_800_000_000_000
_HEAD = struct.Struct("<IB")
_TAIL = struct.Struct("<I")
_TIME = struct.Struct("<q")
_LAYOUT, _TICK = ord("L"), ord("T")
_LONGEST = 16 << 20


class Tape:
    """Writes ticks; `keep_ns` is how far back they are wanted. Used by one thread at a time."""

    def __init__(self, folder: Path, keep_ns: int) -> None:
        self._folder, self.keep_ns = folder, keep_ns
        self._fd = -1
        self._begun_ns = self._last_ns = 0
        self._layout: tuple[Key, ...] | None = None
        self.lost = 0
        """Ticks that could not be written."""

    def append(self, time_ns: int, values: Mapping[Key, float]) -> None:
        """Writes a tick. One that cannot be written is counted and told once: sampling goes on."""
        try:
            self._write(time_ns, values)
        except OSError as error:
            if not self.lost:
                log.warning("cannot keep samples in %s: %s; an agent that dies leaves a hole", self._folder, error)
            self.lost += 1
            self.close()

    def _write(self, time_ns: int, values: Mapping[Key, float]) -> None:
        if self._fd < 0 or not self._last_ns <= time_ns < self._begun_ns + FILE_NS:
            self._begin(time_ns)
        self._last_ns = time_ns
        record = b""
        if self._layout is None or values.keys() != set(self._layout):
            self._layout = tuple(values)
            record = _record(_LAYOUT, json.dumps(self._layout).encode())
        numbers = array("f", [values[key] for key in self._layout])
        record += _record(_TICK, _TIME.pack(time_ns) + numbers.tobytes())
        while record:
            record = record[os.write(self._fd, record) :]

    def _begin(self, time_ns: int) -> None:
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = time_ns
        while (path := self._folder / f"{number:020d}.tape").exists():
            number += 1
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._begun_ns, self._layout = time_ns, None
        for one, after in pairwise(tapes(self._folder)):
            if int(after.stem) < time_ns - self.keep_ns:
                one.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the file; the next tick begins another."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _record(kind: int, payload: bytes) -> bytes:
    checked = bytes((kind,)) + payload
    return _HEAD.pack(len(payload), kind) + payload + _TAIL.pack(zlib.crc32(checked))


def tapes(folder: Path) -> list[Path]:
    """The files, oldest first."""
    return sorted(path for path in folder.glob("*.tape") if path.stem.isdigit())


@dataclass
class Reel:
    """Ticks of one layout, one after the other."""

    layout: tuple[Key, ...]
    times_ns: array[int] = field(default_factory=lambda: array("q"))
    numbers: array[float] = field(default_factory=lambda: array("f"))

    def columns(self) -> dict[Key, array[float]]:
        """The numbers of each series; those without any are left out."""
        width = len(self.layout)
        found = {key: self.numbers[at::width] for at, key in enumerate(self.layout)}
        return {key: column for key, column in found.items() if not all(map(math.isnan, column))}


def replay(folder: Path, since_ns: int, until_ns: int) -> Iterator[Reel]:
    """What was written after since and up to until, oldest first; later than now: before the clock was set back.

    Raises OSError; what was cut off or damaged ends its file.
    """
    for path in tapes(folder):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        yield from _reels(data, since_ns, until_ns)


def _reels(data: bytes, since_ns: int, until_ns: int) -> Iterator[Reel]:
    reel: Reel | None = None
    for kind, payload in _records(data):
        if kind == _LAYOUT:
            if reel is not None and reel.times_ns:
                yield reel
            reel = Reel(tuple((name, metric) for name, metric in json.loads(payload)))
        elif kind == _TICK and reel is not None and len(payload) == _TIME.size + 4 * len(reel.layout):
            (time_ns,) = _TIME.unpack_from(payload)
            if since_ns < time_ns <= until_ns:
                reel.times_ns.append(time_ns)
                reel.numbers.frombytes(payload[_TIME.size :])
    if reel is not None and reel.times_ns:
        yield reel


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, kind = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if length > _LONGEST or end + _TAIL.size > len(data):
            return
        payload = data[at + _HEAD.size : end]
        if zlib.crc32(bytes((kind,)) + payload) != _TAIL.unpack_from(data, end)[0]:
            return
        yield kind, payload
        at = end + _TAIL.size
