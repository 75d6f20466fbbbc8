"""Trees of a snapshot for the workers, where these cannot read the storage themselves.

A folder of this host is read by each worker. A connection cannot be shared with a forked process: there, threads of the
giving process fetch the sealed trees ahead of the work, and hand them over with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .errors import EngineError
from .repository import Repository

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


class Trees:
    """Sealed trees. `threads` is 0 where the workers read for themselves."""

    AHEAD = 32
    """Trees that are fetched before they are asked for."""

    def __init__(self, repository: Repository, threads: int) -> None:
        self._repository = repository
        self._pool: ThreadPoolExecutor | None = None
        if threads:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="trees")
        self._expected: dict[bytes, Future[bytes | None]] = {}

    def expect(self, ids: Iterable[bytes]) -> None:
        """These will be asked for soon."""
        if self._pool is not None:
            for id in ids:
                if id and id not in self._expected:
                    self._expected[id] = self._pool.submit(self._fetch, id)

    def get(self, id: bytes) -> bytes | None:
        """The raw length in four bytes, and the sealed tree; None: the worker shall read it. Raises EngineError."""
        if self._pool is None or not id:
            return None
        future = self._expected.pop(id, None)
        return future.result() if future else self._fetch(id)

    def _fetch(self, id: bytes) -> bytes | None:
        place = self._repository.index.get(id)
        if place is None:
            return b""
        try:
            sealed = self._repository.storage.read("data", place.pack.hex(), place.offset, place.length)
        except EngineError as error:
            if error.code != "not_found":
                raise
            return b""
        return place.raw.to_bytes(4, "little") + sealed

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
