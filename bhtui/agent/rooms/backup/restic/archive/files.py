"""Big files under way: cut, stored in pieces by all workers, and looked at once more when that is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..pool import Message
from ..trees import Trees
from .large import Piece

BATCH = 4 << 20
"""Bytes of pieces in one job."""
_TRIES = 2


@dataclass(slots=True)
class _BigFile:
    path: bytes
    place: Any
    known: bytes
    """The tree of its folder in the parent snapshot."""
    tries: int = 0
    signature: tuple[int, ...] = ()
    ids: list[bytes] = field(default_factory=list)
    size: int = 0
    waiting: int = 0
    is_gone: bool = False


class BigFiles:
    """Those that wait and those under way. `jobs` is where work is put; `fill` is told the text of each."""

    def __init__(
        self,
        jobs: deque[tuple[Message, Callable[[Message], None]]],
        at_once: int,
        fill: Callable[[Any, str], None],
        trees: Trees,
    ) -> None:
        self._jobs, self._at_once, self._fill, self._trees = jobs, at_once, fill, trees
        self.waiting: deque[_BigFile] = deque()
        self._open = 0
        self.bytes = 0
        """Stored of the files that are not complete."""

    def add(self, path: bytes, place: Any, known: bytes) -> None:
        """One more, later."""
        self.waiting.append(_BigFile(path, place, known))

    def begin(self) -> None:
        """Begins with the next when few are open: a file is read twice, and the second time it shall be in memory."""
        while self.waiting and self._open < self._at_once:
            self._open += 1
            self._cut(self.waiting.popleft(), 0)

    def _cut(self, file: _BigFile, offset: int) -> None:
        file.waiting += 1
        job = ("cut", file.path, offset), lambda answer: self._was_cut(file, answer)
        # Two jobs before the end of what is queued: the workers have something to do while one looks for the cuts.
        self._jobs.insert(max(len(self._jobs) - 2, 0), job)

    def _was_cut(self, file: _BigFile, answer: Message) -> None:
        file.waiting -= 1
        if not answer:
            file.is_gone = True
        else:
            pieces, is_end, signature = answer
            if not file.signature:
                file.signature = signature
            for batch in _batches(pieces):
                self._store(file, batch)
            if not is_end and pieces and not file.is_gone:
                offset, length, _ = pieces[-1]
                self._cut(file, offset + length)
        self._look(file)

    def _store(self, file: _BigFile, batch: list[Piece]) -> None:
        at = len(file.ids)
        file.ids.append(b"")
        file.waiting += 1

        def then(answer: Message) -> None:
            file.waiting -= 1
            if answer:
                file.ids[at] = answer[0]
                file.size += answer[1]
                self.bytes += answer[1]
            else:
                file.is_gone = True
            self._look(file)

        self._jobs.append((("pieces", file.path, batch), then))

    def _look(self, file: _BigFile) -> None:
        """When nothing of the file is under way any more: has it changed meanwhile?"""
        if file.waiting:
            return
        self.bytes -= file.size
        if file.is_gone:
            self._end(file, "")
            return
        ids = b"".join(file.ids)
        content = ",".join(f'"{ids[at : at + 32].hex()}"' for at in range(0, len(ids), 32))
        file.tries += 1
        is_last = file.tries >= _TRIES
        job = ("file", file.path, file.size, content, file.signature, is_last, file.known, self._trees.get(file.known))
        self._jobs.appendleft((job, lambda answer: self._was_looked_at(file, answer)))

    def _was_looked_at(self, file: _BigFile, answer: Message) -> None:
        if answer and not answer[0]:  # changed: once more from the beginning
            file.signature, file.ids, file.size = (), [], 0
            self._cut(file, 0)
            return
        self._end(file, answer[0] if answer else "")

    def _end(self, file: _BigFile, text: str) -> None:
        self._open -= 1
        self._fill(file.place, text)


def _batches(pieces: list[Piece]) -> list[list[Piece]]:
    found: list[list[Piece]] = []
    size = BATCH
    for piece in pieces:
        if size >= BATCH:
            found.append([])
            size = 0
        found[-1].append(piece)
        size += piece[1]
    return found
