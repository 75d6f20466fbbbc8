"""Copies that are taken in place of live files which cannot be read consistently. Blocks.

A copy lies beside the live file, under its name with SUFFIX, so that it is on the same file system and in the same
folder of the snapshot; the live file is left out. After a restore each copy gets the live file's name. With stock
restic that is `mv app.db.blackhole-copy app.db`.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bhtui.core.errors import BlackholeError

SUFFIX = ".blackhole-copy"


def beside(live: Path) -> Path:
    """Where the copy of a live file or folder lies."""
    return live.with_name(live.name + SUFFIX)


def excluded(path: Path | str) -> str:
    """The pattern that leaves out exactly this path."""
    return "".join(f"\\{char}" if char in "\\*?[" else char for char in str(path))


def like(copy: Path, live: Path) -> None:
    """The copy gets the owner and the rights of the live file. Raises OSError."""
    found = live.stat()
    if os.geteuid() == 0:
        os.chown(copy, found.st_uid, found.st_gid)
    copy.chmod(stat.S_IMODE(found.st_mode))


def remove(copies: Iterable[Path | str]) -> None:
    """Removes copies, files or folders; those that are gone do no harm. Raises BlackholeError."""
    for each in map(Path, copies):
        with told(f"remove the copy {each}"):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)


def put_in_place(top: Path) -> int:
    """Gives every copy below a restored folder the live name; how many there were. Raises BlackholeError."""
    count = 0
    with told(f"put the copies in {top} in their places"):
        for copy in list(_copies(top)):
            live = copy.with_name(copy.name.removesuffix(SUFFIX))
            if live.is_dir() and not live.is_symlink():
                shutil.rmtree(live)
            copy.rename(live)
            count += 1
    return count


def _copies(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in files + folders:
            if name.endswith(SUFFIX):
                yield Path(parent) / name
        folders[:] = [name for name in folders if not name.endswith(SUFFIX)]


@contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of the file system, as ours."""
    try:
        yield
    except OSError as error:
        raise BlackholeError(f"cannot {what}: {(error.strerror or str(error)).lower()}") from error
