"""The index: in which pack each blob lies.

(Design, "Indexing".) In memory it is 49 bytes a blob: ids and places in parallel arrays, in buckets by the first twelve
bits of the id, so that a look-up is one search of a few kilobytes, and child processes share it by copy-on-write.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from .blob import BlobType, Place
from .errors import damaged

MAX_BLOBS = 50_000
"""Blobs in one index file; as stock restic."""
_PLACE = struct.Struct("<IIIIB")
_NUMBER = struct.Struct(f"<I{_PLACE.size - 4}x")
ENTRY = struct.Struct("<32sIIIIB")
"""A blob of `Index.records`: id, number of the pack, offset, length, raw length, type."""
_BUCKETS = 4096
_TYPES = (BlobType.DATA, BlobType.TREE)


class Index:
    """All blobs that are known, and where. A blob in several packs has several places."""

    def __init__(self) -> None:
        self._packs: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._ids = [bytearray() for _ in range(_BUCKETS)]
        self._places = [bytearray() for _ in range(_BUCKETS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id: bytes) -> bool:
        return self._find(id, 0) >= 0

    def add(self, id: bytes, place: Place) -> None:
        """Adds one."""
        number = self._number(place.pack)
        bucket = _bucket(id)
        self._ids[bucket] += id
        self._places[bucket] += _PLACE.pack(number, place.offset, place.length, place.raw, place.type)
        self._count += 1

    def get(self, id: bytes) -> Place | None:
        """The first place of a blob; None: it is nowhere."""
        at = self._find(id, 0)
        return self._place(_bucket(id), at) if at >= 0 else None

    def all(self, id: bytes) -> list[Place]:
        """Every place of a blob."""
        found: list[Place] = []
        at = self._find(id, 0)
        while at >= 0:
            found.append(self._place(_bucket(id), at))
            at = self._find(id, at + 32)
        return found

    def packs(self) -> list[bytes]:
        """The names of all packs that are mentioned."""
        return list(self._packs)

    def __iter__(self) -> Iterator[tuple[bytes, Place]]:
        for bucket, ids in enumerate(self._ids):
            for at in range(0, len(ids), 32):
                yield bytes(ids[at : at + 32]), self._place(bucket, at)

    def records(self) -> list[bytearray]:
        """The entries of each pack, as `ENTRY` and in no order; the packs in the order of `packs`. 49 bytes a blob."""
        records = [bytearray() for _ in self._packs]
        for ids, places in zip(self._ids, self._places, strict=True):
            for at, (number,) in enumerate(_NUMBER.iter_unpack(places)):
                record = records[number]
                record += ids[at * 32 : at * 32 + 32]
                record += places[at * _PLACE.size : (at + 1) * _PLACE.size]
        return records

    def by_pack(self) -> Iterator[tuple[bytes, list[tuple[bytes, Place]]]]:
        """The entries pack by pack, in the order they lie in it. Takes 49 bytes a blob for as long as it runs."""
        for pack, record in zip(self._packs, self.records(), strict=True):
            found = [
                (id, Place(pack, _TYPES[type], offset, length, raw))
                for id, _, offset, length, raw, type in ENTRY.iter_unpack(record)
            ]
            yield pack, sorted(found, key=lambda one: one[1].offset)
            record.clear()

    def without(self, packs: set[bytes]) -> Index:
        """Another index, that does not know these packs."""
        kept = Index()
        for id, place in self:
            if place.pack not in packs:
                kept.add(id, place)
        return kept

    def load(self, name: str, file: dict[str, Any]) -> None:
        """Adds what an index file says. Raises EngineError: damaged."""
        ids, places, packed = self._ids, self._places, _PLACE.pack
        try:
            for pack in file["packs"] or ():
                number = self._number(_id(pack["id"]))
                for blob in pack["blobs"] or ():  # a million times: nothing is made that is not kept
                    id = _id(blob["id"])
                    bucket = id[0] << 4 | id[1] >> 4
                    raw, type = blob.get("uncompressed_length", 0), blob["type"] == "tree"
                    places[bucket] += packed(number, blob["offset"], blob["length"], raw, type)
                    ids[bucket] += id
                    self._count += 1
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise damaged(f"the index {name[:8]}", f"it is not an index ({error!r})") from error

    def _number(self, pack: bytes) -> int:
        number = self._numbers.get(pack)
        if number is None:
            number = self._numbers[pack] = len(self._packs)
            self._packs.append(pack)
        return number

    def _find(self, id: bytes, start: int) -> int:
        ids = self._ids[_bucket(id)]
        at = ids.find(id, start)
        while at >= 0 and at % 32:
            at = ids.find(id, at + 1)
        return at

    def _place(self, bucket: int, at: int) -> Place:
        return self._unpacked(self._places[bucket], at // 32 * _PLACE.size)

    def _unpacked(self, record: bytearray, at: int) -> Place:
        number, offset, length, raw, type = _PLACE.unpack_from(record, at)
        return Place(self._packs[number], _TYPES[type], offset, length, raw)


class Marks:
    """A set of blobs of an index: a byte each. The index must not change meanwhile."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._marks = [bytearray(len(ids) // 32) for ids in index._ids]
        self._unknown: set[bytes] = set()

    def add(self, id: bytes) -> bool:
        """Marks a blob; whether it was not marked before. One that the index does not know is remembered beside."""
        at = self._index._find(id, 0)
        if at < 0:
            is_new = id not in self._unknown
            self._unknown.add(id)
            return is_new
        marks = self._marks[_bucket(id)]
        is_new = not marks[at // 32]
        marks[at // 32] = 1
        return is_new

    def __contains__(self, id: bytes) -> bool:
        at = self._index._find(id, 0)
        return bool(self._marks[_bucket(id)][at // 32]) if at >= 0 else id in self._unknown

    @property
    def unknown(self) -> frozenset[bytes]:
        """Marked blobs that no index knows."""
        return frozenset(self._unknown)


def document(packs: dict[bytes, list[tuple[bytes, Place]]]) -> dict[str, Any]:
    """The content of an index file."""
    return {
        "packs": [{"id": pack.hex(), "blobs": [_written(id, place) for id, place in packs[pack]]} for pack in packs]
    }


def _bucket(id: bytes) -> int:
    return id[0] << 4 | id[1] >> 4


def _id(text: str) -> bytes:
    id = bytes.fromhex(text)
    if len(id) != 32:
        raise ValueError(f"{text!r} is no id")
    return id


def _written(id: bytes, place: Place) -> dict[str, Any]:
    said = {"id": id.hex(), "type": place.type.word, "offset": place.offset, "length": place.length}
    return said | {"uncompressed_length": place.raw} if place.raw else said
