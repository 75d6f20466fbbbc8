"""Writing files: zeros as holes, and no more of them in memory at once than was agreed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from ..node import Node

SLICE = 1000
"""Entries of a folder that one job takes."""
BATCH = 8 << 20
"""Bytes of files that are in memory at once."""
HOLE = 64 << 10
"""Bytes of zeros, by their place in the file, that become a hole."""
_ZEROS = bytes(HOLE)


def batch(files: Iterator[tuple[Node, bool]]) -> Iterator[tuple[Node, bool]]:
    """As many of them as may be in memory at once."""
    size = 0
    for each in islice(files, SLICE):
        yield each
        size += each[0].size
        if size >= BATCH:
            return


def write_at(file: int, content: bytes, offset: int) -> None:
    """Writes all but long runs of zeros, which stay holes of a new file. Raises OSError."""
    if len(content) < HOLE and os.pwrite(file, content, offset) == len(content):
        return
    view = memoryview(content)
    start = 0  # of what is not written yet
    at = -offset % HOLE
    while at + HOLE <= len(content):
        if view[at : at + HOLE] == _ZEROS:
            _whole(file, view[start:at], offset + start)
            start = at + HOLE
        at += HOLE
    _whole(file, view[start:], offset + start)


def _whole(file: int, view: memoryview, offset: int) -> None:
    while view:
        count = os.pwrite(file, view, offset)
        view, offset = view[count:], offset + count
