"""Trees that backups stumble over, and what there is to see of a tree."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bhtui.agent.rooms.backup.restic.archive import Virtual, backup
from bhtui.agent.rooms.backup.restic.node import parse_tree
from bhtui.agent.rooms.backup.restic.progress import Note, Progress
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.snapshot import Snapshot
from bhtui.agent.rooms.backup.restic.storage.local import Local
from tests.agent.rooms.backup.restic.stock import PASSWORD

NAMES = (
    b"plain", b"sp ace", b"quote\"'\\", b"new\nline", b"\xff\xfe", "ä€😀\u2028".encode(), b"<&>", b"\x01\x7f",
    b'},{"name":"x","type":"file"', b"-rf", b"*", b"[a]", b"\\x41", b"a" * 255,
)  # fmt: skip


def grow(top: Path, seed: int = 0, depth: int = 30) -> None:
    """A tree of everything a file system of Linux can hold. With a depth of 50, paths get longer than Linux takes."""
    draw = random.Random(seed)
    top.mkdir()
    for name in NAMES:
        (top / os.fsdecode(name)).write_bytes(name * 100)
        os.symlink(name, os.fsencode(top) + b"/" + name[:200] + b"-link")
    (top / "empty").touch()
    (top / "hollow").mkdir()
    wide = top / "wide"
    wide.mkdir()
    for each in range(1200):
        (wide / f"{each:05}").write_bytes(draw.randbytes(draw.randrange(60)))
    deep = top / "deep"
    deep.mkdir()
    _dig(deep, depth)
    (top / "big").write_bytes(draw.randbytes(11 << 20) + bytes(3 << 20) + b"end")
    (top / "middle").write_bytes(draw.randbytes(1 << 20) * 3)
    with (top / "sparse").open("wb") as file:
        file.seek(30 << 20)
        file.write(b"after the hole")
        file.truncate(50 << 20)
    os.link(top / "plain", top / "wide" / "linked")
    os.link(top / "big", top / "hollow" / "linked")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.open(top, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    if os.getuid() == 0:
        os.mknod(top / "device", stat.S_IFCHR | 0o640, os.makedev(1, 3))
        os.mknod(top / "block", stat.S_IFBLK | 0o640, os.makedev(7, 300))
        os.chown(top / "middle", 12345, 54321)
        os.chown(top / "plain-link", 12345, 54321, follow_symlinks=False)
    os.setxattr(top / "plain", "user.one", b"\x00\xff")
    os.setxattr(top / "plain", "user.two", b"")
    os.setxattr(top / "hollow", "user.of a folder", b"x" * 200)
    os.chmod(top / "middle", 0o4711)
    os.chmod(top / "hollow", 0o3750)
    os.chmod(top / "empty", 0)
    os.utime(top / "empty", ns=(0, 1))
    os.utime(top / "middle", ns=(5, -3_000_000_001))
    os.utime(top / "plain-link", ns=(7, 1234567890_123456789), follow_symlinks=False)


def _dig(folder: Path, depth: int) -> None:
    """Folders in folders, deeper than a path may be long."""
    here = os.open(folder, os.O_RDONLY)
    for each in range(depth):
        name = f"{each:03}" + "d" * 90
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def seen(top: Path) -> dict[bytes, tuple[Any, ...]]:
    """All there is to see of a tree. Hard links are told by the first name in order."""
    found: dict[bytes, tuple[Any, ...]] = {}
    links: dict[tuple[int, int], bytes] = {}
    here = os.open(top, os.O_RDONLY)
    found[b"."] = _one(b".", here, b".", links)
    _look(here, b"", found, links)
    os.close(here)
    return found


def _look(folder: int, above: bytes, found: dict[bytes, Any], links: dict[tuple[int, int], bytes]) -> None:
    for name in sorted(map(os.fsencode, os.listdir(folder))):
        path = above + b"/" + name
        found[path] = _one(path, folder, name, links)
        if found[path][0] == stat.S_IFDIR:
            below = os.open(name, os.O_RDONLY, dir_fd=folder)
            _look(below, path, found, links)
            os.close(below)


def _one(path: bytes, folder: int, name: bytes, links: dict[tuple[int, int], bytes]) -> tuple[Any, ...]:
    st = os.lstat(name, dir_fd=folder)
    kind = stat.S_IFMT(st.st_mode)
    content = ""
    if kind == stat.S_IFREG:
        file = os.open(name, os.O_RDONLY, dir_fd=folder)
        content = hashlib.sha256(os.read(file, st.st_size + 1)).hexdigest()
        os.close(file)
    elif kind == stat.S_IFLNK:
        content = os.fsdecode(os.readlink(name, dir_fd=folder))
    there = os.fsencode(f"/proc/self/fd/{folder}/") + name
    xattrs = tuple(
        (key, os.getxattr(there, key, follow_symlinks=False)) for key in os.listxattr(there, follow_symlinks=False)
    )
    first = b"" if kind == stat.S_IFDIR else links.setdefault((st.st_dev, st.st_ino), path)
    size = 0 if kind == stat.S_IFDIR else st.st_size
    device = st.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
    mtime = 0 if path == b"." else st.st_mtime_ns
    return kind, st.st_mode, st.st_uid, st.st_gid, mtime, size, content, sorted(xattrs), first, device


def repository(folder: Path) -> Repository:
    """Opened with its index; made when it is not there."""
    if not folder.exists():
        return Repository.create(Local(folder), PASSWORD, time.time_ns())
    opened = Repository.open(Local(folder), PASSWORD)
    opened.load_index()
    return opened


def take(
    folder: Path | Repository,
    *paths: Path,
    parent: Snapshot | None = None,
    force: bool = False,
    excludes: Sequence[str] = (),
    virtual: Sequence[Virtual] = (),
    notes: list[Note] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    workers: int = 2,
) -> Snapshot:
    """A backup into the repository in `folder`, or into an open one."""
    return backup(
        repository(folder) if isinstance(folder, Path) else folder,
        [os.fsencode(path) for path in paths],
        parent=parent,
        force=force,
        excludes=excludes,
        hostname="here",
        tags=["service:x"],
        time_ns=time.time_ns(),
        virtual=virtual,
        progress=progress,
        note=(notes if notes is not None else []).append,
        cancelled=threading.Event(),
        workers=workers,
    )


def tree_of(folder: Path, snapshot: Snapshot, path: Path) -> bytes:
    """The id of a folder's tree: those above it change with whatever else is done there."""
    opened, id = repository(folder), snapshot.tree
    for part in path.parts[1:]:
        (id,) = [node.subtree or b"" for node in parse_tree(id, opened.read_blob(id)) if node.name == part.encode()]
    return id
