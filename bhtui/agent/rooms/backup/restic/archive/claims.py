"""Which blobs this run stores: every worker sees what the others have taken, so that a blob is stored once.

Each worker writes only into its own shared memory and reads that of all, so there are no locks. Two workers that meet
the same new blob at the same instant may both store it; that costs space and nothing else.
"""

from __future__ import annotations

import mmap

_NORESERVE = 0x4000
"""MAP_NORESERVE of Linux: address space costs nothing until it is written."""
SPACE = 256 << 20
"""Address space for one worker, in bytes: about 7 million blobs. What does not fit is stored without asking."""
_BUCKETS = 4096
_BLOCK = 512
_ROOM = 15
"""Ids in a block, after 16 bytes of head: where the bucket's block before is, and how many ids are in this one."""
_FIRST = _BUCKETS * 4


class Claims:
    """Made before workers are forked; `own` says afterwards which of the regions this process writes."""

    def __init__(self, writers: int) -> None:
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _NORESERVE
        self._regions = [mmap.mmap(-1, SPACE, flags) for _ in range(writers)]
        self._numbers = [memoryview(region).cast("I") for region in self._regions]
        self._own = 0
        self._next = _FIRST

    def own(self, number: int) -> None:
        """This process writes the region of this number."""
        self._own = number

    def claim(self, id: bytes) -> bool:
        """Whether the blob is new: whoever asks must store it then."""
        bucket = id[0] << 4 | id[1] >> 4
        for region, numbers in zip(self._regions, self._numbers, strict=True):
            block = numbers[bucket]
            while block:
                at = block + 16
                found = region.find(id, at, at + 32 * numbers[block // 4 + 1])
                if found >= 0 and (found - at) % 32 == 0:
                    return False
                block = numbers[block // 4]
        self._add(bucket, id)
        return True

    def _add(self, bucket: int, id: bytes) -> None:
        region, numbers = self._regions[self._own], self._numbers[self._own]
        block = numbers[bucket]
        count = numbers[block // 4 + 1] if block else _ROOM
        if count == _ROOM:
            if self._next + _BLOCK > SPACE:
                return
            fresh, self._next = self._next, self._next + _BLOCK
            numbers[fresh // 4] = block
            numbers[bucket] = block = fresh
            count = 0
        at = block + 16 + 32 * count
        region[at : at + 32] = id
        numbers[block // 4 + 1] = count + 1

    def close(self) -> None:
        """Gives the memory back."""
        for numbers, region in zip(self._numbers, self._regions, strict=True):
            numbers.release()
            region.close()
