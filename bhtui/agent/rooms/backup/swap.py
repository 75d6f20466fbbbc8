"""Puts restored data in the place of what is there, and back. Blocks; every call may be repeated after a crash.

What is restored lies beside its place, on the same file system, in a folder `.NAME.blackhole-OPERATION` with `new` and
`old` in it, so that the exchange is two renames. Where that cannot be (the place is a mount point, or what holds it
may not be written) the folder lies within, and the entries are renamed one by one; a mark tells which way it was when
it was interrupted. In between a service sees neither whole: it is stopped.

    beside: old exists?  place exists?  new exists?    what is done next
            no           yes            yes            place -> old
            no           no             yes            mark that there was nothing
            yes, or mark no             yes            new -> place
            any          yes            no             nothing: it is done

Before the new goes to its place, what backups leave out is carried over into it from the old (`carry`).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhtui.core.errors import BlackholeError, Refused

from . import carry

MARK = ".blackhole-"
EXCLUDES = (f".*{MARK}????????", "*.before-restore-*")
"""What a backup leaves out: data that lies ready for a restore, and what one has put aside."""
NOTHING, CLEARED = "nothing", "cleared"
"""Marks in the folder: there was nothing before; all entries from before are in `old`."""
OPERATION = 8
"""How much of an operation's id names the folder."""


@dataclass(frozen=True, slots=True)
class Place:
    """One path that is put back."""

    path: str
    within: bool
    """Whether its folder lies in it, not beside."""
    operation: str
    excludes: tuple[str, ...] = ()
    """Patterns of what backups leave out, and is carried over; none: nothing is."""

    @property
    def folder(self) -> Path:
        """Where everything of this exchange is."""
        own = Path(self.path)
        name = f".{own.name}{MARK}{self.operation[:OPERATION]}"
        return (own if self.within else own.parent) / name

    @property
    def new(self) -> Path:
        """What is restored."""
        return self.folder / "new" / Path(self.path).name

    @property
    def old(self) -> Path:
        """What was there before."""
        return self.folder / "old" / Path(self.path).name

    def to_args(self) -> dict[str, Any]:
        """As JSON values, without the operation."""
        return {"path": self.path, "within": self.within, "excludes": list(self.excludes)}


def place(args: Mapping[str, Any], operation: str) -> Place:
    """Back from JSON values."""
    return Place(args["path"], args["within"], operation, tuple(args.get("excludes", ())))


def must_lie_within(path: str) -> bool:
    """Whether a path cannot be renamed: something is mounted on it, or its folder may not be written."""
    parent = Path(path).parent
    while not parent.is_dir():
        parent = parent.parent
    return os.path.ismount(path) or not os.access(parent, os.W_OK | os.X_OK)


def refuse_mounts(path: str) -> None:
    """Raises Refused where something is mounted below: it would be moved away with what is around it, and removed."""
    below = f"{path.rstrip('/')}/"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()]
    if found := next((each for each in map(_unescaped, points) if each.startswith(below)), ""):
        raise Refused(
            f"cannot replace the data in {path}: {found} within it is a disk of its own; unmount that for as long, or "
            "restore with --target and copy by hand"
        )


def _unescaped(text: str) -> str:
    """A path of mountinfo, which writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def make_room(one: Place) -> None:
    """The folder to restore into. Raises BlackholeError."""
    refuse_mounts(one.path)
    with _told("restore beside", one.path):
        if one.within and not Path(one.path).is_dir():
            raise Refused(
                f"cannot restore {one.path}: it is a file on a mount of its own; use --target and copy it by hand"
            )
        Path(one.path).parent.mkdir(parents=True, exist_ok=True)
        one.new.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        one.old.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        one.folder.chmod(0o700)


def make_empty(one: Place) -> None:
    """As if nothing had been restored: a folder like the one there is, and empty. Raises BlackholeError."""
    make_room(one)
    with _told("make an empty folder beside", one.path):
        if Path(one.path).is_dir():
            one.new.mkdir(exist_ok=True)
            _as(Path(one.path), one.new)
        elif os.path.lexists(one.path):
            one.new.touch()


def swap(one: Place) -> None:
    """Puts the new in place of the old. Raises BlackholeError."""
    with _told("put the restored data in place of", one.path):
        (_swap_within if one.within else _swap_beside)(one)


def swap_back(one: Place) -> bool:
    """Puts the old in place again, as far as it was away; False: it was removed already. Raises BlackholeError."""
    if not one.folder.exists():
        return False
    with _told("put the data from before back to", one.path):
        (_back_within if one.within else _back_beside)(one)
    return True


def discard(one: Place, keep_as: str = "") -> None:
    """Removes the folder with what is in it; `keep_as`: the old is put there before. Raises BlackholeError."""
    with _told("remove what was put aside of", one.path):
        if keep_as and not one.within and os.path.lexists(one.old):
            one.old.rename(keep_as)
        elif keep_as and one.within and _entries(one.folder / "old"):
            (one.folder / "old").rename(keep_as)
        remove(one.folder)


def kept_name(one: Place, now_ns: int) -> str:
    """Where the data from before is kept: `/srv/db/data.before-restore-20260301T120000Z`."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ns // 1_000_000_000))
    own = Path(one.path)
    return str((own if one.within else own.parent) / f"{own.name}.before-restore-{stamp}")


def remove(path: Path) -> None:
    """A file or a folder with all that is in it, folders that may not be written too; nothing when it is not there."""
    if not os.path.lexists(path):
        return
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path, onerror=_unlocked)
    else:
        path.unlink()


def leftovers(path: str) -> list[Path]:
    """Folders of exchanges at this path, whatever operation made them."""
    own = Path(path)
    found: list[Path] = []
    for parent in (own.parent, own):
        with suppress(OSError):
            found += [each for each in parent.glob(f".{_literal(own.name)}{MARK}*") if each.is_dir()]
    return found


# ---- beside ------------------------------------------------------------------------------------------------------


def _swap_beside(one: Place) -> None:
    path = Path(one.path)
    if not os.path.lexists(one.new):
        return
    if not os.path.lexists(one.old) and not _marked(one, NOTHING):
        if os.path.lexists(path):
            path.rename(one.old)
        else:
            _mark(one, NOTHING)
    elif os.path.lexists(path):
        raise Refused(f"cannot put the restored data in place of {path}: something else was made there meanwhile")
    carry.over(one.folder, one.old, one.new, one.path, one.excludes)
    one.new.rename(path)
    _sync(path.parent)


def _back_beside(one: Place) -> None:
    path = Path(one.path)
    there = os.path.lexists(path)
    if os.path.lexists(one.old):
        if there:
            if os.path.lexists(one.new):
                carry.back(one.folder, one.old, one.new)
                remove(one.new)
            path.rename(one.new)
        carry.back(one.folder, one.old, one.new)
        one.old.rename(path)
    elif _marked(one, NOTHING) and there and not os.path.lexists(one.new):
        path.rename(one.new)
    _sync(path.parent)


# ---- within ------------------------------------------------------------------------------------------------------


def _swap_within(one: Place) -> None:
    path, old = Path(one.path), one.folder / "old"
    if not os.path.lexists(one.new):
        return
    if not _marked(one, CLEARED):
        for name in _entries(path, one.folder.name):
            (path / name).rename(old / name)
        _mark(one, CLEARED)
    carry.over(one.folder, old, one.new, one.path, one.excludes)
    for name in _entries(one.new):
        (one.new / name).rename(path / name)
    _as(one.new, path)
    _sync(path)
    one.new.rmdir()


def _back_within(one: Place) -> None:
    path, old = Path(one.path), one.folder / "old"
    if _marked(one, CLEARED):
        one.new.mkdir(exist_ok=True)
        for name in _entries(path, one.folder.name):
            (path / name).rename(one.new / name)
        carry.back(one.folder, old, one.new)
        (one.folder / CLEARED).unlink()
    for name in _entries(old):
        (old / name).rename(path / name)
    _sync(path)


def _as(source: Path, target: Path) -> None:
    """Owner and mode of a folder that stays where it is."""
    found = source.stat()
    with suppress(PermissionError):
        os.chown(target, found.st_uid, found.st_gid)
    with suppress(PermissionError):
        target.chmod(stat.S_IMODE(found.st_mode))


# ---- parts -------------------------------------------------------------------------------------------------------


def _entries(folder: Path, besides: str = "") -> list[str]:
    with suppress(FileNotFoundError):
        return sorted(each.name for each in folder.iterdir() if each.name != besides)
    return []


def _marked(one: Place, mark: str) -> bool:
    return (one.folder / mark).exists()


def _mark(one: Place, mark: str) -> None:
    (one.folder / mark).touch()
    _sync(one.folder)


def _sync(folder: Path) -> None:
    """The names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlocked(_: Any, name: str, __: Any) -> None:
    """A restored folder may be one that nobody may write; it is removed nevertheless."""
    path = Path(name)
    path.parent.chmod(0o700)
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink()


def _literal(name: str) -> str:
    """As a pattern of glob."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


@contextmanager
def _told(what: str, path: str) -> Iterator[None]:
    """Errors of the file system, as ours."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        where = f" ({error.filename})" if error.filename else ""
        raise BlackholeError(f"cannot {what} {path}: {why}{where}; put that right, then run it again") from error
