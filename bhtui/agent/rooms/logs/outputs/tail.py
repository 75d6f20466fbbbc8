"""One output's place in the files of one instance: reads on, goes back, and counts what rotation took from it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import cri, files
from ..files import LONGEST
from .chains import Chain, Held, find
from .model import Record
from .records import Reader

BLOCK = 128 << 10
CUT_NS = 1_000_000_000
"""How long before the last line that was read a shortened file is read again: lines of one moment share their stamp."""


class Position(NamedTuple):
    """Between two lines: everything before it was read. `number` counts the files of this tail."""

    number: int
    offset: int
    order_ns: int


class Lost(NamedTuple):
    """What was removed before it was read. `lines` -1: nobody can know how many, as the file was never open here."""

    instance: str
    lines: int
    size: int
    since_ns: int
    """Time of the first lost line, or of the last one before the gap."""
    until_ns: int
    """Time of the first line after it; 0: there is none yet."""


class Tail:
    """Reads from `files`, oldest first, numbered from `first`. All but `follow` is called by its output's thread."""

    def __init__(self, chain: Chain, lowest: int) -> None:
        self.chain = chain
        self._files: deque[Held] = deque()
        self._new: deque[Held] = deque()
        """What the looking thread has handed over."""
        self._first = 0
        self._doubtful: deque[tuple[int, Lost]] = deque()
        """By number of the file: what was read and not committed when it was let go."""
        self._reader = Reader(chain.service, chain.instance, lowest)
        self._at = self._kept = Position(0, 0, 0)
        self._inside: Position | None = None
        """The place in the middle of a line that is too long, where reading goes on."""
        self.read_lines = self.read_bytes = 0
        """Of the files, so far; also what was not wanted, and what was read again."""

    # The start

    def begin(self, there: Sequence[Held], saved: dict[str, Any] | None, since_ns: int) -> Lost | None:
        """Finds the place: the saved one, else the first line at or after a time. Leaves the files before it."""
        lost, index, offset, order_ns = None, 0, 0, 0
        if saved is not None:
            index = find(there, int(saved["ino"]), str(saved["head"]))
            order_ns = int(saved["order_ns"])
            if index >= 0:
                offset = min(int(saved["offset"]), there[index].size)
            else:
                done = set(saved["done"])
                index = next((at for at, each in enumerate(there) if each.name not in done), len(there))
                lost = self._gap(there[index:], order_ns)
        elif since_ns:
            index, offset = _at_time(there, since_ns)
        for held in there[:index]:
            held.leave()
        self._files.extend(there[index:])
        self._at = self._kept = Position(0, offset, order_ns)
        self._reader.reset(order_ns)
        return lost

    def _gap(self, rest: Sequence[Held], since_ns: int) -> Lost:
        until = next((cri.time_of(start) for held in rest if (start := os.pread(held.fd, cri.TEXT_AT, 0))), 0)
        return Lost(self.chain.instance, -1, 0, since_ns, max(0, until))

    def follow(self, held: Held) -> None:
        """Another file comes after all that are there; called by the looking thread."""
        self._new.append(held.use())

    def close(self) -> None:
        """Leaves all files."""
        self._take_new()
        for held in self._files:
            held.leave()
        self._files.clear()

    def _take_new(self) -> None:
        while self._new:
            self._files.append(self._new.popleft())

    # Reading

    def behind(self, in_doubt_too: bool) -> int:
        """Bytes that are there and not yet read, or not yet committed."""
        total, at = 0, self._kept if in_doubt_too else self._at
        for number, held in enumerate((*self._files, *self._new), self._first):
            if number >= at.number:
                total += max(0, held.size - (at.offset if number == at.number else 0))
        return total

    @property
    def has_more(self) -> bool:
        """Whether reading on may give something; costs no look at the disk."""
        held = self._current
        if held is None or self._is_last:
            return bool(self._new) or (held is not None and held.size != self._at.offset)
        return True

    @property
    def _current(self) -> Held | None:
        index = self._at.number - self._first
        return self._files[index] if index < len(self._files) else None

    @property
    def _is_last(self) -> bool:
        return self._at.number - self._first >= len(self._files) - 1

    def read(self) -> list[Record]:
        """The lines of the next block; none, when they are not wanted, or when there are none."""
        self._take_new()
        while (held := self._current) is not None:
            at = self._at
            block = self._block(held)
            if block:
                self.read_lines += block.count(b"\n")
                self.read_bytes += len(block)
                is_whole = block.endswith(b"\n")
                found = self._reader.feed(block if is_whole else block + b"\n", at.number, held.head, at.offset)
                self._at = Position(at.number, at.offset + len(block), self._reader.order_ns)
                self._inside = None if is_whole else self._at
                return found
            if self._at != at:
                continue
            if self._is_last:
                return []
            self._at = Position(at.number + 1, 0, at.order_ns)
        return []

    def _block(self, held: Held) -> bytes:
        """Whole lines at the place, or a piece of one that is too long; empty when there are none yet."""
        at, size = self._at, BLOCK
        before = min(at.offset, 1) if at != self._inside else 0
        while True:
            data = files.read(held.fd, at.offset - before, at.offset + size)
            if before and data[:1] != b"\n":
                self._was_cut(held)
                return b""
            cut = data.rfind(b"\n") + 1 - before
            if cut > 0:
                return data[before : before + cut]
            if len(data) < size:
                return b""
            if size >= LONGEST:
                return data[before:]
            size *= 4

    def _was_cut(self, held: Held) -> None:
        """Somebody shortened the file, and may have filled it again: it is read on as one file more.

        The keeper cuts off lines that found no room on the disk, and may have written others by now; then reading goes
        on a moment before the last line that was read. Whatever else begins anew is read from its start.
        """
        offset, end = 0, files.lines_end(held.fd)
        if end and not held.begins_anew():
            offset = files.find_time(held.fd, end, self._at.order_ns - CUT_NS)
            offset = files.clean_start(held.fd, offset, 0)
        self._files.insert(self._at.number - self._first + 1, held.use())
        self._at = Position(self._at.number + 1, offset, self._at.order_ns)
        self._reader.reset(self._at.order_ns)

    @property
    def position(self) -> Position:
        """Up to where everything was read, before any line of which only parts were."""
        begun = self._reader.begun
        return Position(*begun) if begun is not None else self._at

    # What was received

    def rewind(self) -> list[Lost]:
        """Reads again what was not committed; what of it is not there any more."""
        self._at = self._kept
        self._reader.reset(self._kept.order_ns)
        lost = [each for _, each in self._doubtful]
        self._doubtful.clear()
        return lost

    def commit(self, position: Position) -> None:
        """Everything before the place was received; the files before it are left."""
        while self._doubtful and self._doubtful[0][0] < position.number:
            self._doubtful.popleft()
        self._keep(position)

    def _keep(self, position: Position) -> None:
        self._kept = max(self._kept, position)
        while self._first < self._kept.number and self._files:
            self._files.popleft().leave()
            self._first += 1

    def let_go(self, now: float) -> list[Lost]:
        """Skips what was removed and is kept no longer, with what of it had not been read."""
        self._take_new()
        lost = []
        while len(self._files) > 1 and self._files[0].is_over(now):
            held, number = self._files[0], self._first
            end = os.fstat(held.fd).st_size
            read = self._at.offset if self._at.number == number else end
            if self._kept.number == number:
                # What was read has perhaps arrived: it is lost only if it would have to be sent again.
                self._doubtful += [(number, each) for each in self._between(held, self._kept.offset, read)]
            lost += self._between(held, read, end)
            if self._at.number == number:
                self._at = Position(number + 1, 0, self._at.order_ns)
                self._reader.reset(self._at.order_ns)
            self._keep(Position(number + 1, 0, self._kept.order_ns))
        return lost

    def _between(self, held: Held, at: int, end: int) -> list[Lost]:
        """The lines between two offsets of the first file, as lost ones; nothing when there are none."""
        if at >= end:
            return []
        since = cri.time_of(os.pread(held.fd, cri.TEXT_AT, at))
        lines, size = 0, end - at
        while at < end and (data := os.pread(held.fd, min(1 << 20, end - at), at)):
            lines += data.count(b"\n")
            at += len(data)
        until = cri.time_of(os.pread(self._files[1].fd, cri.TEXT_AT, 0))
        return [Lost(self.chain.instance, lines, size, max(0, since), max(0, until))] if lines else []

    # For the cursor and for people

    def saved(self) -> dict[str, Any] | None:
        """What `begin` needs to go on at the committed place; None as long as there is no file."""
        index = self._kept.number - self._first
        if index >= len(self._files):
            return None
        held = self._files[index]
        pending = {each.name for each in (*list(self._files)[index + 1 :], *self._new)}
        return {
            "ino": held.ino, "head": held.head, "offset": self._kept.offset, "order_ns": self._kept.order_ns,
            "done": sorted(self.chain.known - pending - {held.name}),
        }  # fmt: skip

    def oldest_ns(self, in_doubt_too: bool) -> int:
        """The time of the first line that is not read, or not committed; 0: there is none."""
        at = self._kept if in_doubt_too else self._at
        for number, held in enumerate((*self._files, *self._new), self._first):
            offset = at.offset if number == at.number else 0
            if number >= at.number and held.size > offset:
                return max(0, cri.time_of(os.pread(held.fd, cri.TEXT_AT, offset)))
        return 0


def _at_time(there: Sequence[Held], time_ns: int) -> tuple[int, int]:
    """Which file, and where in it, the first line at or after a time is; when there is none, the end."""
    for index in range(len(there) - 1, -1, -1):
        held = there[index]
        end = files.lines_end(held.fd)
        offset = files.find_time(held.fd, end, time_ns)
        if offset:
            return index, files.clean_start(held.fd, offset, 0)
    return 0, 0
