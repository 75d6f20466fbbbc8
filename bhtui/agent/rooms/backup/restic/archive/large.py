"""Big files: cut by what they hold, so that a byte put in moves one cut and not all after it.

One worker finds the cuts, which is quick, and all of them then read, hash, compress and seal the pieces: a single big
file keeps every core busy, and no worker holds more than one piece.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

MIN, MEAN, MAX = 512 << 10, 1 << 20, 8 << 20
"""Bytes of a piece; as stock restic."""
LARGE = MAX
"""Bytes above which a file is cut by one worker and stored by all."""
AT_ONCE = 64 << 20
"""Bytes that are cut before the pieces are stored."""
_WINDOW = MAX + (1 << 20)
"""Bytes that are looked at together: more than one piece."""

Piece = tuple[int, int, bool]
"""Offset, length, and whether it is a hole, which needs not be read."""


@cache
def cutter() -> Any:
    """A FastCDC. It is loaded when the first file needs to be cut: most backups of small files need none."""
    from pyfastcdc import FastCDC

    return FastCDC(MEAN, min_size=MIN, max_size=MAX, normalized_chunking=1)


def pieces(content: bytes) -> Iterable[bytes | memoryview]:
    """The pieces of a file that is in memory whole; an empty one has none."""
    if len(content) <= MIN:
        return (content,) if content else ()
    return _cut(memoryview(content))


def _cut(content: memoryview) -> Iterator[memoryview]:
    at = 0
    for chunk in cutter().cut_buf(content):
        yield content[at : at + chunk.length]
        at += chunk.length


def cut(file: int, offset: int, is_sparse: bool) -> tuple[list[Piece], bool]:
    """The pieces from an offset on, `AT_ONCE` bytes of them or more, and whether they reach the end. OSError."""
    found: list[Piece] = []
    at, filled, is_end = offset, 0, False
    view = memoryview(bytearray(_WINDOW))
    while not is_end and at < offset + AT_ONCE:
        if is_sparse and filled == 0 and (holes := _holes(file, at)):
            found += holes
            at += MAX * len(holes)
            continue
        while filled < _WINDOW and (count := os.preadv(file, [view[filled:]], at + filled)):
            filled += count
        is_end = filled < _WINDOW
        used = 0
        for chunk in cutter().cut_buf(view[:filled]):
            if used + chunk.length == filled and not is_end:
                break  # where this one ends is told by bytes that are not read yet
            found.append((at + used, chunk.length, False))
            used += chunk.length
        at += used
        view[: filled - used] = view[used:filled]
        filled -= used
        if is_sparse:
            filled = 0  # the next bytes may be a hole
    return found, is_end


def _holes(file: int, at: int) -> list[Piece]:
    """Whole pieces of a hole that begins here."""
    try:
        data = os.lseek(file, at, os.SEEK_DATA)
    except OSError:  # ENXIO: nothing but a hole follows, or the file ends
        data = os.lseek(file, 0, os.SEEK_END)
    return [(each, MAX, True) for each in range(at, min(data, at + 64 * AT_ONCE) - MAX + 1, MAX)]


def read(file: int, offset: int, length: int) -> bytearray:
    """The bytes of one piece; shorter where the file now ends. Raises OSError."""
    content = bytearray(length)
    view, filled = memoryview(content), 0
    while filled < length and (count := os.preadv(file, [view[filled:]], offset + filled)):
        filled += count
    if filled < length:
        view.release()
        del content[filled:]
    return content
