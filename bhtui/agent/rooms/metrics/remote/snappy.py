"""Snappy's block format (google/snappy, format_description.txt), written for series that are much like each other.

A library would look everywhere for what comes again, and weighs a third of what is placed on a host. Here the caller
says what is likely the same: the labels of the series before. What they begin with in common becomes a copy, all else
stands as it is. Any decoder of snappy reads it.
"""

from __future__ import annotations

from collections.abc import Iterable

LEAST_COPY = 8
_MOST_COPY = 64
_MOST_OFFSET = 0xFFFF


def varint(value: int) -> bytes:
    """A whole number of zero or more, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(pieces: Iterable[tuple[bytes, bytes, bytes]]) -> bytes:
    """All pieces one after the other, packed. A piece is what stands before the labels, the labels, what follows."""
    out: list[bytes] = []
    plain: list[bytes] = []  # not yet written
    before, before_at, at = b"", 0, 0
    for head, labels, tail in pieces:
        at += len(head)
        plain.append(head)
        shared = common(before, labels)
        if shared >= LEAST_COPY and at - before_at <= _MOST_OFFSET:
            out += (_literal(b"".join(plain)), _copy(shared, at - before_at))
            plain = [labels[shared:], tail]
        else:
            plain += (labels, tail)
        before, before_at = labels, at
        at += len(labels) + len(tail)
    return b"".join([varint(at), *out, _literal(b"".join(plain))])


def common(one: bytes, other: bytes) -> int:
    """How many bytes two begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _literal(data: bytes) -> bytes:
    size = len(data) - 1
    if size < 0:
        return b""
    if size < 60:
        return bytes([size << 2]) + data
    width = (size.bit_length() + 7) // 8
    return bytes([(59 + width) << 2]) + size.to_bytes(width, "little") + data


def _copy(size: int, offset: int) -> bytes:
    """With an offset of two bytes, at most 64 bytes each."""
    where = offset.to_bytes(2, "little")
    return b"".join(bytes([(min(_MOST_COPY, size - done) - 1) << 2 | 2]) + where for done in range(0, size, _MOST_COPY))
