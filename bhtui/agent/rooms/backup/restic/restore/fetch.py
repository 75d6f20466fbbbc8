"""Parts of packs out of a storage that is not of this host, into files that the workers read.

A pack's file has what was fetched at the place where it lies in the pack. Stretches of one pack that are asked for are
fetched once, and the packs that were not used for longest go when there are too many.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..errors import EngineError
from ..repository import Repository
from .blobs import stretches

KEPT = 512 << 20
"""Bytes of fetched stretches that are kept."""


class Fetch:
    """A pool of threads that fetch."""

    def __init__(self, repository: Repository, scratch: Path, threads: int) -> None:
        self._repository, self._scratch = repository, scratch
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
        self._packs: OrderedDict[bytes, dict[tuple[int, int], Future[None]]] = OrderedDict()
        self._held: dict[bytes, int] = {}
        self._bytes = 0

    def want(self, ids: Iterable[bytes]) -> tuple[set[bytes], list[Future[None]]]:
        """Fetches what is not there of these blobs. The packs, which are kept until `release`, and what to wait for."""
        packs: set[bytes] = set()
        waiting: list[Future[None]] = []
        for pack, offset, length, _ in stretches(self._repository, ids):
            if not pack:
                continue
            parts = self._packs.setdefault(pack, {})
            self._packs.move_to_end(pack)
            if pack not in packs:
                packs.add(pack)
                self._held[pack] = self._held.get(pack, 0) + 1
            around = next(
                (f for (start, size), f in parts.items() if start <= offset and offset + length <= start + size), None
            )
            if around is None:
                around = parts[offset, length] = self._pool.submit(self._fetch, pack, offset, length)
                self._bytes += length
            waiting.append(around)
        self._trim()
        return packs, waiting

    def release(self, packs: set[bytes]) -> None:
        """These are no longer read by the job they were wanted for."""
        for pack in packs:
            self._held[pack] -= 1
            if not self._held[pack]:
                del self._held[pack]

    def _fetch(self, pack: bytes, offset: int, length: int) -> None:
        try:
            raw = self._repository.storage.read("data", pack.hex(), offset, length)
        except EngineError as error:
            if error.code != "not_found":
                raise
            raw = b""  # the worker finds the blobs damaged, and looks for them elsewhere
        file = os.open(self._scratch / pack.hex(), os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.pwrite(file, raw, offset)
        finally:
            os.close(file)

    def _trim(self) -> None:
        for pack in list(self._packs):
            if self._bytes <= KEPT:
                return
            parts = self._packs[pack]
            if pack in self._held or not all(future.done() for future in parts.values()):
                continue
            self._bytes -= sum(length for _, length in parts)
            del self._packs[pack]
            (self._scratch / pack.hex()).unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
