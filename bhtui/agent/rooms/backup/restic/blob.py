"""Blobs: the pieces of files and the listings of folders, named by the SHA-256 of what they hold.

(Design, "Pack Format".) In version 2 of the format a blob is compressed by zstd before it is sealed.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import NamedTuple

import zstandard

from .crypto import Key, Unauthentic
from .errors import damaged

LEVEL = 3
"""Of zstd; as stock restic. Level 2 takes a fifth less time and 2 to 5 % more space, level 1 half and 4 % more."""
MAX_RAW = 1 << 30
"""Bytes: no blob is longer, whatever a damaged index says."""


class BlobType(IntEnum):
    """As in a pack's header; a compressed blob's number there is 2 more."""

    DATA = 0
    TREE = 1

    @property
    def word(self) -> str:
        """As in an index file."""
        return self.name.lower()


class Place(NamedTuple):
    """Where a blob lies."""

    pack: bytes
    """The pack's name, 32 bytes."""
    type: BlobType
    offset: int
    length: int
    """Bytes in the pack, sealed."""
    raw: int
    """Bytes of what it holds, when compressed; 0: it is not compressed."""


def name(plain: bytes | memoryview) -> bytes:
    """The blob's id, 32 bytes."""
    return hashlib.sha256(plain).digest()


class BlobCodec:
    """Makes sealed blobs and opens them. One thread at a time."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._compress = zstandard.ZstdCompressor(level=LEVEL)
        self._decompress = zstandard.ZstdDecompressor()

    def another(self) -> BlobCodec:
        """The same for another thread."""
        return BlobCodec(self._key.another())

    def encode(self, plain: bytes | memoryview) -> tuple[bytes, int]:
        """A sealed blob, and the length of what it holds when it is compressed, else 0."""
        packed = self._compress.compress(plain) if len(plain) else b""
        if packed and len(packed) < len(plain):
            return self._key.seal(packed), len(plain)
        return self._key.seal(plain), 0

    def decode(self, id: bytes, sealed: bytes | memoryview, raw: int) -> bytes:
        """What the blob holds, checked against its name. Raises EngineError: damaged."""
        try:
            plain = self._key.open(sealed)
            if raw:
                plain = self._decompress.decompress(plain, max_output_size=min(raw, MAX_RAW))
        except (Unauthentic, zstandard.ZstdError) as error:
            raise damaged(f"the blob {id.hex()[:8]}", str(error)) from error
        if name(plain) != id:
            raise damaged(f"the blob {id.hex()[:8]}", "it holds something else than was stored")
        return plain
