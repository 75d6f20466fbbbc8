"""Packs: files of blobs, with a sealed header at their end that says what they hold.

(Design, "Pack Format".) Trees and data are never in one pack.
"""

from __future__ import annotations

import fcntl
import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

from .blob import BlobType, Place
from .crypto import OVERHEAD, Key, Unauthentic
from .errors import damaged
from .storage import Storage
from .storage.scratch import new_file, temporary

TARGET = 16 << 20
"""Bytes at which a pack is closed; as stock restic's default."""
MAX_BLOBS = 16_384
"""Blobs at which a pack is closed, so that its header stays small enough for stock restic's first read of it."""
_PLAIN = struct.Struct("<BI32s")
_COMPRESSED = struct.Struct("<BII32s")
_LENGTH = struct.Struct("<I")
REST = OVERHEAD + _LENGTH.size
"""Bytes of a pack beside its blobs and their header entries."""


def stored(place: Place) -> int:
    """Bytes that a blob takes in its pack, with its entry in the header."""
    return place.length + entry_size(place.raw)


def entry_size(raw: int) -> int:
    """Bytes of a blob's entry in the header; `raw`: its length before it was compressed, 0: it is not."""
    return _COMPRESSED.size if raw else _PLAIN.size


def entry(type: int, length: int, raw: int, id: bytes) -> bytes:
    """A blob's entry in the header."""
    return _COMPRESSED.pack(type + 2, length, raw, id) if raw else _PLAIN.pack(type, length, id)


class Finished(NamedTuple):
    """A pack that is complete, in a local file."""

    id: bytes
    file: Path
    blobs: list[tuple[bytes, Place]]
    size: int


Packed = tuple[bytes, list[tuple[bytes, Place]]]
"""A pack that is stored, and what it holds."""


class PackWriter:
    """Collects sealed blobs in a file of `scratch`. Raises OSError."""

    def __init__(self, scratch: Path | None, type: BlobType) -> None:
        if scratch:
            scratch.mkdir(mode=0o700, exist_ok=True)
        number, self._path = new_file(scratch or temporary(), "pack-")
        self._file = open(number, "wb", buffering=1 << 18)  # noqa: SIM115 - closed by finish or abandon
        fcntl.flock(self._file, fcntl.LOCK_EX)  # so that nobody takes it for a leftover
        self._type = type
        self._digest = hashlib.sha256()
        self._header = bytearray()
        self._blobs: list[tuple[bytes, int, int, int]] = []
        self.size = 0
        """Bytes so far."""

    @property
    def is_full(self) -> bool:
        """Whether no more should be added."""
        return self.size >= TARGET or len(self._blobs) >= MAX_BLOBS

    def __len__(self) -> int:
        return len(self._blobs)

    def add(self, id: bytes, sealed: bytes, raw: int) -> None:
        """Adds a blob as `BlobCodec.encode` made it."""
        self._file.write(sealed)
        self._digest.update(sealed)
        length = len(sealed)
        self._blobs.append((id, self.size, length, raw))
        self._header += entry(self._type, length, raw, id)
        self.size += length

    def finish(self, key: Key) -> Finished:
        """Writes the header. The file is complete and not yet synced."""
        header = key.seal(bytes(self._header))
        tail = header + _LENGTH.pack(len(header))
        self._file.write(tail)
        self._digest.update(tail)
        self._file.close()
        id = self._digest.digest()
        blobs = [(blob, Place(id, self._type, offset, length, raw)) for blob, offset, length, raw in self._blobs]
        return Finished(id, self._path, blobs, self.size + len(tail))

    def abandon(self) -> None:
        """Removes the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def header(storage: Storage, key: Key, pack: str, size: int) -> list[tuple[bytes, Place]]:
    """What a pack says it holds. Raises EngineError: damaged, and what the storage raises."""
    what = f"the pack {pack[:8]}"
    guess = min(size, 1 << 16)
    tail = storage.read("data", pack, size - guess)
    if len(tail) != guess or guess < _LENGTH.size + OVERHEAD:
        raise damaged(what, f"it is too short with {size} bytes")
    (length,) = _LENGTH.unpack(tail[-_LENGTH.size :])
    if not OVERHEAD < length <= size - _LENGTH.size:
        raise damaged(what, f"its header cannot be {length} bytes long")
    if length + _LENGTH.size > guess:
        tail = storage.read("data", pack, size - length - _LENGTH.size)
    try:
        plain = key.open(tail[-length - _LENGTH.size : -_LENGTH.size])
        return entries(bytes.fromhex(pack), plain, size - length - _LENGTH.size)
    except (Unauthentic, ValueError, struct.error) as error:
        raise damaged(what, f"its header is damaged: {error}") from error


def entries(pack: bytes, plain: bytes, until: int) -> list[tuple[bytes, Place]]:
    """The entries of an opened header; blobs end at `until`. Raises ValueError, struct.error."""
    found: list[tuple[bytes, Place]] = []
    at = offset = 0
    while at < len(plain):
        kind = plain[at]
        if kind in (2, 3):
            _, length, raw, id = _COMPRESSED.unpack_from(plain, at)
            at += _COMPRESSED.size
        elif kind in (0, 1):
            (_, length, id), raw = _PLAIN.unpack_from(plain, at), 0
            at += _PLAIN.size
        else:
            raise ValueError(f"there is no blob of type {kind}")
        found.append((id, Place(pack, BlobType(kind & 1), offset, length, raw)))
        offset += length
    if offset != until:
        raise ValueError(f"its blobs end at {offset} and not at {until}")
    return found
