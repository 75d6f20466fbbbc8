"""Reads packs to the last byte, in workers: each is compared with its header, the names of its blobs, and its own.

Blobs and header are authenticated, each by its tag. Where they lie without a gap from the first byte to the last and
all are whole, no byte can be another than was written, and the pack's own name, the hash of all, is not computed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import FileIO
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from . import pack
from .crypto import Unauthentic
from .errors import EngineError
from .index import ENTRY
from .pool import Message, Pool
from .progress import Flag, refuse_cancelled
from .repository import Repository
from .storage import is_local
from .storage.scratch import Scratch

WINDOW = 4 << 20
"""Bytes of a pack that a worker has in memory at once, unless one blob is longer."""
WAIT = 0.05
"""Seconds until cancelling is looked at when nothing happens."""


class Read(NamedTuple):
    """What reading one pack found: a fault of the pack, or the blobs of it that are damaged, with their offsets."""

    number: int
    size: int
    fault: str
    blobs: list[tuple[bytes, int]]


def read_packs(
    repository: Repository,
    records: list[bytearray],
    numbers: Iterable[int],
    meanwhile: Iterator[None],
    cancelled: Flag,
) -> Iterator[Read]:
    """Reads the packs of these numbers; `records` is `Index.records`. Raises EngineError.

    `meanwhile` is work of this process, in small pieces, that is done while the workers read.
    """
    storage, names = repository.storage, repository.index.packs()
    waiting = iter(numbers)
    with ExitStack() as stack:
        scratch = None if is_local(storage) else stack.enter_context(Scratch(storage))
        workers = len(os.sched_getaffinity(0))
        pool = stack.enter_context(Pool(workers, lambda _, __: _Reader(repository, names, records, scratch)))
        while True:
            while (worker := pool.free()) is not None and (number := next(waiting, None)) is not None:
                if scratch:
                    (scratch / names[number].hex()).write_bytes(storage.read("data", names[number].hex()))
                pool.give(worker, (number,))
            if not pool.outstanding:
                return
            is_idle = next(meanwhile, meanwhile) is meanwhile
            for _, message in pool.heard(WAIT if is_idle else 0):
                yield Read(*message[1:])
            refuse_cancelled(cancelled)


class _Reader:
    """A worker. Called with the number of a pack, it answers what it found."""

    def __init__(
        self, repository: Repository, names: list[bytes], records: list[bytearray], scratch: Path | None
    ) -> None:
        self._storage, self._key, self._codec = repository.storage, repository.key, repository.codec
        self._names, self._records, self._scratch = names, records, scratch
        self._window = bytearray(WINDOW)

    def __call__(self, job: Message) -> Message:
        (number,) = job
        name = self._names[number]
        path = self._scratch / name.hex() if self._scratch else self._storage.local("data", name.hex())
        assert path
        entries = sorted(ENTRY.iter_unpack(self._records[number]), key=itemgetter(2))
        try:
            with FileIO(path) as file:
                return (number, *self._read(file, name, entries))
        except OSError as error:
            return (number, 0, f"cannot be read: {(error.strerror or str(error)).lower()}", [])
        finally:
            if self._scratch:
                path.unlink(missing_ok=True)

    def _read(self, file: FileIO, name: bytes, entries: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Size, fault, and damaged blobs. A window moves over the file."""
        size = os.fstat(file.fileno()).st_size
        header, bad, end, is_gapless = bytearray(), [], 0, True
        view, start, filled = memoryview(self._window), 0, 0
        for id, _, offset, length, raw, type in entries:
            header += pack.entry(type, length, raw, id)
            is_gapless, end = is_gapless and offset == end, offset + length
            if end > size:
                bad.append((id, offset))
                continue
            while end > start + filled:
                gone = min(offset - start, filled)
                if length > len(view):
                    self._window = bytearray(length)
                    self._window[: filled - gone] = view[gone:filled]
                    view = memoryview(self._window)
                else:
                    view[: filled - gone] = view[gone:filled]
                start, filled = start + gone, filled - gone
                count = file.readinto(view[filled:])
                if not count:
                    raise OSError("it became shorter while it was read")
                filled += count
            at = offset - start
            try:
                self._codec.decode(id, view[at : at + length], raw)
            except EngineError:
                bad.append((id, offset))
        fault = self._header(file.fileno(), size, bytes(header))
        if fault or bad or not is_gapless or end + len(header) + pack.REST != size:
            file.seek(0)
            if hashlib.file_digest(file, "sha256").digest() != name:
                fault = "its content does not match its name"
        return size, fault, bad

    def _header(self, file: int, size: int, expected: bytes) -> str:
        length = int.from_bytes(os.pread(file, 4, size - 4), "little")
        try:
            plain = self._key.open(os.pread(file, length, size - 4 - length) if length < size - 4 else b"")
        except Unauthentic as error:
            return f"its header is damaged: {error}"
        return "" if plain == expected else "its header and the index say different things"
