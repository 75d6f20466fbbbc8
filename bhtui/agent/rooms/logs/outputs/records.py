"""Blocks of a captured file as the lines that an output sends: parts put together, levels found, times made unique."""

from __future__ import annotations

from collections.abc import Iterator

from .. import cri, levels
from ..files import JOIN_LIMIT, may_have_parts
from .model import Record

_FULL = b" F "


class Reader:
    """Takes the blocks of one instance in order. `lowest` is the rank of the lowest level that is wanted, -1: all."""

    def __init__(self, service: str, instance: str, lowest: int = -1) -> None:
        self.order_ns = 0
        """Of the last line; the next one gets a greater one."""
        self._service, self._instance, self._lowest = service, instance, lowest
        self._parts: dict[str, list[bytes]] = {}
        self._began: dict[str, tuple[int, int, int]] = {}

    @property
    def begun(self) -> tuple[int, int, int] | None:
        """File number, offset and order_ns before it where the oldest line under way begins; None: none is."""
        return min(self._began.values(), default=None)

    def reset(self, order_ns: int) -> None:
        """Goes on at another place, at which no line is under way."""
        self.order_ns = order_ns
        self._parts.clear()
        self._began.clear()

    def feed(self, block: bytes, number: int, head: str, offset: int) -> list[Record]:
        """The wanted lines of a block of whole lines that stands at an offset of the file with that number and head."""
        place = head[: cri.STAMP_LENGTH]
        if self._parts or may_have_parts(block):
            return list(self._joined(block, number, place, offset))
        return self._plain(block, place, offset)

    def _plain(self, block: bytes, place: str, offset: int) -> list[Record]:
        # Nearly all lines come this way, so it is spelt out: each name that is looked up here counts.
        found: list[Record] = []
        service, instance, lowest, order = self._service, self._instance, self._lowest, self.order_ns
        detect, rank, time_of = levels.detect, levels.rank, cri.time_of
        make = tuple.__new__  # without the function that Record(...) calls in between
        seen, time_ns = b"", 0
        for line in block.split(b"\n")[:-1]:
            stamp = line[:31]
            if stamp != seen:
                seen, time_ns = stamp, time_of(line)
            if line[37:40] == _FULL and time_ns >= 0:
                text, stream, when = line[40:], "stdout" if line[34:37] == b"out" else "stderr", time_ns
            else:
                text, stream, when = line, "stdout", order
            order = when if when > order else order + 1
            level = detect(text)
            if lowest < 0 or rank(level) >= lowest:
                found.append(make(Record, (service, instance, stream, level, text, when, order, place, offset, False)))
            offset += len(line) + 1
        self.order_ns = order
        return found

    def _joined(self, block: bytes, number: int, place: str, offset: int) -> Iterator[Record]:
        for line in block.split(b"\n")[:-1]:
            raw = cri.parse(line) or cri.Record(self.order_ns, "stdout", False, line)
            before = (number, offset, self.order_ns)
            began = self._began.setdefault(raw.stream, before)
            parts = self._parts.setdefault(raw.stream, [])
            parts.append(raw.text)
            self.order_ns = max(raw.time_ns, self.order_ns + 1)
            if not raw.partial or sum(map(len, parts)) >= JOIN_LIMIT:
                del self._parts[raw.stream], self._began[raw.stream]
                text = b"".join(parts)
                level = levels.detect(text)
                if levels.rank(level) >= self._lowest:
                    at = began[1] if began[0] == number else offset
                    yield Record(
                        self._service, self._instance, raw.stream, level, text, raw.time_ns, self.order_ns,
                        place, at, raw.partial,
                    )  # fmt: skip
            offset += len(line) + 1
