"""Where new blobs go: into a pack for trees and one for data, of this process alone."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..blob import BlobCodec, BlobType, name
from ..crypto import Key
from ..errors import Code, EngineError
from ..index import Index
from ..pack import Finished, PackWriter
from .claims import Claims

BLOB = struct.Struct("<32sIII")
"""A blob of a pack: id, offset, length, raw length. A tenth of what objects would take."""


class Packed(NamedTuple):
    """A complete pack in a local file, as workers tell of it."""

    id: bytes
    file: str
    type: int
    size: int
    blobs: bytes
    """Its blobs as `BLOB`, one after another."""


class Sink:
    """Stores blobs that are new. `done` is told every full pack."""

    def __init__(
        self, index: Index, key: Key, codec: BlobCodec, claims: Claims, scratch: Path, done: Callable[[Packed], None]
    ) -> None:
        self._index, self._key, self._codec, self._claims = index, key, codec, claims
        self._scratch, self._done = scratch, done
        self._writers: dict[BlobType, PackWriter] = {}
        self.blobs = [0, 0]
        """How many were stored, by type."""
        self.added = 0
        """Bytes before compression."""
        self.packed = 0
        """Bytes as stored."""

    def has(self, id: bytes, type: BlobType) -> bool:
        """Whether the repository had it before this run."""
        place = self._index.get(id)
        return place is not None and (place.type == type or any(each.type == type for each in self._index.all(id)))

    def store(self, type: BlobType, plain: bytes | memoryview) -> bytes:
        """The id of the blob, which is stored when it was not. Raises EngineError: the scratch folder is full."""
        id = name(plain)
        if self.has(id, type):
            return id
        # The same bytes may be a tree and a file: the one is not found under the name of the other.
        if self._claims.claim(id[::-1] if type is BlobType.TREE else id):
            sealed, raw = self._codec.encode(plain)
            self.blobs[type] += 1
            self.added += len(plain)
            self.packed += len(sealed)
            self.append(type, id, sealed, raw)
        return id

    def append(self, type: BlobType, id: bytes, sealed: bytes, raw: int) -> None:
        """A sealed blob into the pack of its type."""
        try:
            writer = self._writers.get(type)
            if writer is None:
                writer = self._writers[type] = PackWriter(self._scratch, type)
            writer.add(id, sealed, raw)
            full = self._finish(type) if writer.is_full else None
        except OSError as error:
            raise self._unwritten(error) from error
        if full:
            self._done(full)

    def take(self, pack: Packed) -> None:
        """Adds the blobs of another pack, sealed as they are, and removes its file. Raises EngineError."""
        file = Path(pack.file)
        with file.open("rb") as stream:
            for id, offset, length, raw in BLOB.iter_unpack(pack.blobs):
                stream.seek(offset)
                self.append(BlobType(pack.type), id, stream.read(length), raw)
        file.unlink()

    def close(self) -> list[Packed]:
        """The packs that are not full."""
        try:
            return [self._finish(type) for type in list(self._writers)]
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> EngineError:
        code: Code = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "permission"
        why = (error.strerror or str(error)).lower()
        return EngineError(code, f"cannot write a pack in {self._scratch}: {why}; make room there, then run it again")

    def _finish(self, type: BlobType) -> Packed:
        return told(self._writers.pop(type).finish(self._key), type)


def told(done: Finished, type: BlobType) -> Packed:
    """A finished pack in plain values."""
    blobs = b"".join(BLOB.pack(id, place.offset, place.length, place.raw) for id, place in done.blobs)
    return Packed(done.id, str(done.file), int(type), done.size, blobs)
