"""The output of a container, as `logs` sends it: frames of eight bytes of head, or one raw stream of a terminal. Pure.

A frame is one line with its end, or a part of a long one without. With time stamps each begins with one and a space.
https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .container import time_ns

HEAD = 8
FRAME_LIMIT = 16 << 20
STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
STAMP_LIMIT = 40
"""No time stamp is longer."""
RAW_LIMIT = 64 << 10
"""Bytes of a raw line that are kept back until its end comes."""


class BadFrame(ValueError):
    """The stream is not one of frames."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One line, or a part of one that goes on in the next piece of the same stream."""

    time_ns: int
    """When the engine took it; 0: it did not say. Podman may tell whole seconds only."""
    stream: str
    text: bytes
    """Without its end."""
    partial: bool = False


class Frames:
    """Takes bytes apart as they come."""

    def __init__(self, tty: bool) -> None:
        self._tty = tty
        self._rest = bytearray()
        self._inside = False
        """Whether the raw line under way has given a part already, so that what follows has no stamp."""
        self._time = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that are whole by now. Raises BadFrame."""
        self._rest += data
        return self._raw() if self._tty else self._framed()

    def _framed(self) -> Iterator[Piece]:
        while len(self._rest) >= HEAD:
            kind, size = self._rest[0], int.from_bytes(self._rest[4:HEAD], "big")
            if kind not in STREAMS or self._rest[1:4] != b"\0\0\0" or size > FRAME_LIMIT:
                raise BadFrame(f"this is no output of a container: {bytes(self._rest[:HEAD])!r}")
            if len(self._rest) < HEAD + size:
                return
            body = bytes(self._rest[HEAD : HEAD + size])
            del self._rest[: HEAD + size]
            yield from _pieces(STREAMS[kind], body)

    def _raw(self) -> Iterator[Piece]:
        while (end := self._rest.find(b"\n")) >= 0 or len(self._rest) > RAW_LIMIT:
            partial = end < 0
            line = bytes(self._rest[: RAW_LIMIT if partial else end])
            del self._rest[: len(line) + (not partial)]
            if not self._inside:
                self._time, line = _split_stamp(line)
            self._inside = partial
            yield Piece(self._time, "stdout", line if partial else line.removesuffix(b"\r"), partial)


def _pieces(stream: str, body: bytes) -> Iterator[Piece]:
    """A frame has one line. Should one have several, the stamp at its head is that of all."""
    at, text = _split_stamp(body)
    *lines, rest = text.split(b"\n")
    for line in lines:
        yield Piece(at, stream, line)
    if rest or not lines:
        yield Piece(at, stream, rest, partial=True)


def _split_stamp(line: bytes) -> tuple[int, bytes]:
    """The time at the head of a line and what follows it; 0 and the whole line when there is none."""
    head, space, rest = line[:STAMP_LIMIT].partition(b" ")
    if not space or not head[:4].isdigit():
        return 0, line
    found = time_ns(head.decode("latin-1"))
    return (found, rest + line[STAMP_LIMIT:]) if found else (0, line)
