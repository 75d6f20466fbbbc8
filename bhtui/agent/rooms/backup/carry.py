"""Carries over what backups leave out: no backup holds it, so a restore in place must not remove it. Blocks.

What matches a pattern of `excludes` in the old data and is not in the restored data is moved there by renames, folders
as a whole. The list of them is on the disk before the first is moved: by it a call that was cut off goes on, and the
way back finds what is to be put back. What is in the restored data stays as it was restored. Symbolic links are moved
as such, and never followed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bhtui.core.excludes import compiled

LIST, LEFT = "carried", "left"
"""In the folder of the exchange: what is carried over; what could not be, so that the old data must stay."""
JOURNALS = (b"-wal", b"-shm", b"-journal")
"""Of an SQLite database; beside a restored one, that of another time would destroy it."""


def over(folder: Path, old: Path, new: Path, top: str, patterns: Sequence[str]) -> None:
    """Moves it from the old to the new, which lie apart; `top` is where the old was. Raises OSError, UsageError."""
    if not patterns or not (_is_folder(old) and _is_folder(new)):
        return
    is_out = compiled(patterns)
    if not (folder / LIST).exists() and is_out is not None:
        moves, left = _found(os.fsencode(old), os.fsencode(new), os.fsencode(top), is_out)
        if left:
            _write(folder / LEFT, left)
        _write(folder / LIST, moves)
    for each in _read(folder / LIST):
        source, target = old / each, new / each
        if os.path.lexists(source) and not os.path.lexists(target):
            _make_above(old, new, Path(each).parent)
            _move(source, target)


def back(folder: Path, old: Path, new: Path) -> None:
    """Moves it from the new to the old again; nothing when nothing was moved. Raises OSError."""
    for each in reversed(_read(folder / LIST)):
        source, target = new / each, old / each
        if os.path.lexists(source) and not os.path.lexists(target):
            _move(source, target)
    for name in (LEFT, LIST):
        (folder / name).unlink(missing_ok=True)


def left(folder: Path) -> list[str]:
    """What could not be carried over, because what was restored is in its way."""
    return _read(folder / LEFT)


def _found(old: bytes, new: bytes, top: bytes, is_out: Callable[[bytes], bool]) -> tuple[list[str], list[str]]:
    """What is moved and what cannot be, relative to the tops."""
    moves: list[str] = []
    blocked: list[str] = []
    waiting: list[tuple[bytes, bool, bool]] = [(b"", False, False)]
    while waiting:
        at, is_within, is_blocked = waiting.pop()
        with os.scandir(os.path.join(old, at)) as entries:  # noqa: PTH118
            found = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in entries)
        for name, is_dir in found:
            here = os.path.join(at, name)  # noqa: PTH118
            target = os.path.join(new, here)  # noqa: PTH118
            out = is_within or is_out(os.path.join(top, here))  # noqa: PTH118
            there = not is_blocked and os.path.lexists(target)
            if out and is_blocked:
                blocked.append(os.fsdecode(here))
            elif out and not there:
                if not _is_journal(target):
                    moves.append(os.fsdecode(here))
            elif is_dir:
                stands_in_the_way = there and not _is_folder(Path(os.fsdecode(target)))
                waiting.append((here, out, is_blocked or (stands_in_the_way and not out)))
    return moves, blocked


def _is_journal(path: bytes) -> bool:
    return any(path.endswith(end) and os.path.lexists(path.removesuffix(end)) for end in JOURNALS)


def _make_above(old: Path, new: Path, folder: Path) -> None:
    """Folders that only hold what is carried over, like the ones there were."""
    made: Path = Path()
    for part in folder.parts:
        made /= part
        if not os.path.lexists(new / made):
            like = os.lstat(old / made)
            with _times((new / made).parent):
                (new / made).mkdir(mode=0o700)
            with suppress(PermissionError):
                os.chown(new / made, like.st_uid, like.st_gid)
            (new / made).chmod(stat.S_IMODE(like.st_mode))


def _move(source: Path, target: Path) -> None:
    """The folders that it leaves and enters keep their times."""
    with _times(source.parent), _times(target.parent):
        source.rename(target)


@contextmanager
def _times(folder: Path) -> Iterator[None]:
    found = os.lstat(folder)
    yield
    with suppress(PermissionError):
        os.utime(folder, ns=(found.st_atime_ns, found.st_mtime_ns))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _write(file: Path, names: Iterable[str]) -> None:
    """All of it or nothing, and on the disk."""
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("w") as opened:
        json.dump(list(names), opened)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(unfinished, file)  # noqa: PTH105
    fd = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(file: Path) -> list[str]:
    with suppress(FileNotFoundError):
        found: list[str] = json.loads(file.read_text())
        return found
    return []
