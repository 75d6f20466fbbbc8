"""Reading many blobs at once: sorted by where they lie, each stretch of a pack in one read."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..blob import Place
from ..errors import EngineError, damaged
from ..repository import Repository

GAP = 64 << 10
"""Bytes between two blobs that are read along rather than skipped."""
STRETCH = 4 << 20
"""Bytes of one read, unless one blob is longer."""
_OPEN = 8
"""Packs kept open."""

Stretch = tuple[bytes, int, int, list[tuple[bytes, Place]]]
"""Pack, offset, length, and the blobs in it."""


class Blobs:
    """Opens blobs out of packs that are files of this host: the storage's, or fetched into `scratch`."""

    def __init__(self, repository: Repository, scratch: Path | None) -> None:
        self._repository, self._scratch = repository, scratch
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def read(self, ids: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | EngineError]]:
        """Each blob once, in the order of the packs: its content, checked against its id, or why there is none."""
        for pack, offset, length, blobs in stretches(self._repository, ids):
            if not pack:
                for id, _ in blobs:
                    yield id, damaged(f"the blob {id.hex()[:8]}", "no index knows it")
                continue
            raw = self._raw(pack, offset, length)
            for id, place in blobs:
                start = place.offset - offset
                yield id, self._opened(id, place, memoryview(raw)[start : start + place.length])

    def _opened(self, id: bytes, place: Place, sealed: memoryview) -> bytes | EngineError:
        try:
            return self._repository.codec.decode(id, sealed, place.raw)
        except EngineError as error:
            for other in self._repository.index.all(id):
                if other == place:
                    continue
                try:
                    raw = self._raw(other.pack, other.offset, other.length)
                    return self._repository.codec.decode(id, raw, other.raw)
                except EngineError:
                    continue
            return error

    def _raw(self, pack: bytes, offset: int, length: int) -> bytes:
        """Bytes of a pack; fewer where it ends, or is not there."""
        try:
            file = self._open.pop(pack, -1)
            if file < 0:
                file = self._opened_pack(pack)
            self._open[pack] = file
            return os.pread(file, length, offset)
        except OSError:
            return b""

    def _opened_pack(self, pack: bytes) -> int:
        while len(self._open) >= _OPEN:
            os.close(self._open.popitem(last=False)[1])
        if self._scratch is not None:
            return os.open(self._scratch / pack.hex(), os.O_RDONLY | os.O_CLOEXEC)
        local = self._repository.storage.local("data", pack.hex())
        assert local is not None
        return os.open(local, os.O_RDONLY | os.O_CLOEXEC)


def stretches(repository: Repository, ids: Iterable[bytes]) -> Iterator[Stretch]:
    """Where blobs lie, put together to reads. Those that are nowhere come with no pack."""
    found: list[tuple[bytes, int, bytes, Place]] = []
    nowhere: list[tuple[bytes, Place]] = []
    for id in set(ids):
        place = repository.index.get(id)
        if place is None:
            nowhere.append((id, None))  # type: ignore[arg-type]
        else:
            found.append((place.pack, place.offset, id, place))
    if nowhere:
        yield b"", 0, 0, nowhere
    found.sort()
    run: list[tuple[bytes, Place]] = []
    end = 0
    for pack, offset, id, place in found:
        if run:
            first = run[0][1]
            if first.pack != pack or offset - end > GAP or offset + place.length - first.offset > STRETCH:
                yield first.pack, first.offset, end - first.offset, run
                run = []
        run.append((id, place))
        end = offset + place.length
    if run:
        first = run[0][1]
        yield first.pack, first.offset, end - first.offset, run
