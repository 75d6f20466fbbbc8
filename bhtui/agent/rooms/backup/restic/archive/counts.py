"""What a backup counts."""

from __future__ import annotations

FIELDS = (
    "files_new", "files_changed", "files_unmodified", "dirs_new", "dirs_changed", "dirs_unmodified",
    "files", "bytes", "bytes_read",
)  # fmt: skip


class Counts:
    """Numbers of one job, or of all. `all` is in the order of FIELDS."""

    def __init__(self) -> None:
        self.all = [0] * len(FIELDS)

    def add(self, others: tuple[int, ...]) -> None:
        """The numbers of a job."""
        for at, other in enumerate(others):
            self.all[at] += other

    def file(self, size: int, before: str, now: str, is_read: bool) -> None:
        """An entry that is no folder, with its text in the parent snapshot (empty: it was not there) and now."""
        self.all[0 if not before else 2 if before == now else 1] += 1
        self.all[6] += 1
        self.all[7] += size
        if is_read:
            self.all[8] += size

    def folder(self, was_there: bool, is_same: bool) -> None:
        """A folder."""
        self.all[3 if not was_there else 5 if is_same else 4] += 1

    def read(self, size: int) -> None:
        """A piece of a big file."""
        self.all[8] += size

    @property
    def files(self) -> int:
        """Entries that are no folders."""
        return self.all[6]

    @property
    def bytes(self) -> int:
        """Of all files, read or not."""
        return self.all[7]

    @property
    def bytes_read(self) -> int:
        """Of the files that were read."""
        return self.all[8]
