"""Protobuf's wire format, as much as two standard services need.

grpc.health.v1 and grpc.reflection are spoken by hand, so that a service needs neither their packages nor a second copy
of their descriptors, which would clash with those packages in a program that has both.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A number of zero or more in base 128, low part first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def field(number: int, value: bytes | str | int) -> bytes:
    """One field: a number as varint, everything else with its length before it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def parse(message: bytes) -> dict[int, bytes | int]:
    """The fields of a message, the last of each number. Raises ValueError when it is cut short or uses other types."""
    found: dict[int, bytes | int] = {}
    at = 0
    while at < len(message):
        tag, at = _varint_at(message, at)
        value, at = _varint_at(message, at)
        if tag & 7 == 0:
            found[tag >> 3] = value
        elif tag & 7 == 2 and at + value <= len(message):
            found[tag >> 3] = message[at : at + value]
            at += value
        else:
            raise ValueError("not a message of varints and lengths")
    return found


def _varint_at(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("a number is cut short")
