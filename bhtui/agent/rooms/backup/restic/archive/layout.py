"""The top of a snapshot: the folders above the paths that are backed up, as stock restic lays them out.

`/srv/a` and `/srv/b/c` make a tree with `srv`, in it `a` and `b`, in that `c`: nothing else of `/srv` is in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import Code, EngineError


@dataclass(frozen=True, slots=True)
class Virtual:
    """A file of the snapshot that is what a command prints."""

    path: bytes
    """Absolute, in the snapshot."""
    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Spot:
    """A folder above what is taken."""

    path: bytes
    folders: dict[bytes, Spot] = field(default_factory=dict)
    taken: set[bytes] = field(default_factory=set)
    """Entries that are taken whole."""
    virtual: dict[bytes, Virtual] = field(default_factory=dict)

    def names(self) -> list[bytes]:
        """All entries, in order."""
        return sorted({*self.folders, *self.taken, *self.virtual})


def checked(paths: Iterable[bytes]) -> list[bytes]:
    """The paths, absolute, there, and none within another. Raises EngineError: refused, vanished, permission."""
    found = []
    for path in paths:
        if not path.startswith(b"/"):
            raise EngineError(
                "refused", f"cannot back up {os.fsdecode(path)!r}: the path is not absolute; begin with /"
            )
        if b"\0" in path or b".." in path.split(b"/"):
            raise EngineError("refused", f"cannot back up {os.fsdecode(path)!r}: write the path without `..`")
        clean = os.path.normpath(b"/" + path.lstrip(b"/"))
        try:
            os.lstat(clean)
        except OSError as error:
            code: Code = "permission" if isinstance(error, PermissionError) else "vanished"
            raise EngineError(
                code, f"cannot back up {os.fsdecode(path)}: {(error.strerror or str(error)).lower()}; check `data`"
            ) from error
        found.append(clean)
    found = sorted(set(found))
    return [path for path in found if not any(_is_above(other, path) for other in found)]


def _is_above(folder: bytes, path: bytes) -> bool:
    return folder != path and path.startswith(folder.rstrip(b"/") + b"/")


def laid_out(paths: Iterable[bytes], virtual: Iterable[Virtual]) -> Spot:
    """The top folder. Raises EngineError: refused, when a virtual file lies where something else is taken."""
    top = Spot(b"/")
    for path in paths:
        *above, last = path.strip(b"/").split(b"/")
        _folder(top, above).taken.add(last)
    for one in virtual:
        parts = [part for part in one.path.split(b"/") if part]
        if not one.path.startswith(b"/") or not parts or b".." in parts or b"\0" in one.path or not one.command:
            raise EngineError("refused", f"cannot store a command's output as {os.fsdecode(one.path)!r}: no such path")
        spot = _folder(top, parts[:-1])
        if parts[-1] in spot.names() or b"" in spot.taken:
            raise _clash(one.path)
        spot.virtual[parts[-1]] = one
    return top


def _folder(top: Spot, above: list[bytes]) -> Spot:
    spot = top
    for part in above:
        if part in spot.taken or b"" in spot.taken or part in spot.virtual:
            raise _clash(spot.path + b"/" + part)
        path = spot.path.rstrip(b"/") + b"/" + part
        spot = spot.folders.setdefault(part, Spot(path))
    return spot


def _clash(path: bytes) -> EngineError:
    return EngineError(
        "refused", f"cannot store a command's output at {os.fsdecode(path)}: files there are backed up too"
    )


def stat_of(path: bytes, time_ns: int) -> os.stat_result:
    """Of a folder above; of one that is not there, what a new one would have."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return found
    except OSError:
        pass
    return made(stat.S_IFDIR | 0o755, time_ns)


def made(st_mode: int, time_ns: int) -> os.stat_result:
    """What lstat would say of something new of ours."""
    second, rest = divmod(time_ns, 1_000_000_000)
    plain = (st_mode, 0, 0, 1, os.getuid(), os.getgid(), 0, second, second, second)
    exact = dict.fromkeys(("st_atime_ns", "st_mtime_ns", "st_ctime_ns"), second * 1_000_000_000 + rest)
    return os.stat_result(plain, exact)
