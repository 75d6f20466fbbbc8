"""Making entries in a folder of the target, and never anywhere else.

The folder is the working folder of the process, entered part by part without following a link; a name has no slash. So
whatever a snapshot or someone at the target does with links, nothing outside is touched.
"""

from __future__ import annotations

import errno
import os
import stat

from ..node import MODE_CHAR, Node, permissions

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TEMPORARY = b".blackhole-restore-"
"""Begins the name of a file that is not whole yet."""
_NO_XATTRS = (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.EINVAL)


def enter(top: int, parts: list[bytes]) -> None:
    """Makes a folder below `top` the working folder. Raises OSError: a link is in the way, or it is not there."""
    here = top
    try:
        for part in parts:
            below = os.open(part, _FOLDER, dir_fd=here)
            if here != top:
                os.close(here)
            here = below
        os.fchdir(here)
    finally:
        if here != top:
            os.close(here)


def is_safe(name: bytes) -> bool:
    """Whether this can be the name of one entry."""
    return bool(name) and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def there(name: bytes) -> os.stat_result | None:
    """What is there of this name."""
    try:
        return os.lstat(name)
    except FileNotFoundError:
        return None


def same(node: Node, found: os.stat_result) -> bool:
    """Whether an entry has the content of a node, as far as size and time can tell."""
    is_kind = stat.S_IFMT(found.st_mode) == _format(node.type)
    if node.type == "file":
        return is_kind and found.st_size == node.size and found.st_mtime_ns == node.mtime_ns
    if node.type == "symlink":
        return is_kind and os.readlink(node.name) == node.linktarget
    return is_kind and (node.type not in ("dev", "chardev") or found.st_rdev == node.device)


def remove(name: bytes) -> None:
    """Removes an entry, a folder with all that is in it, following no link. Raises OSError."""
    if stat.S_ISDIR(os.lstat(name).st_mode):
        import shutil

        here = os.open(b".", _FOLDER)
        try:
            shutil.rmtree(name, dir_fd=here)
        finally:
            os.close(here)
    else:
        os.unlink(name)


def special(node: Node) -> None:
    """Makes what is neither a file nor a folder; the name must be free. Raises OSError."""
    match node.type:
        case "symlink":
            os.symlink(node.linktarget, node.name)
        case "fifo":
            os.mkfifo(node.name, 0o600)
        case "socket":
            os.mknod(node.name, stat.S_IFSOCK | 0o600)
        case "dev" | "chardev":
            kind = stat.S_IFCHR if node.mode & MODE_CHAR else stat.S_IFBLK
            os.mknod(node.name, kind | 0o600, node.device)
        case _:
            raise OSError(errno.ENOTSUP, f"an entry of the type {node.type} cannot be made here")


def dress(node: Node, at: bytes | int, is_new: bool = False) -> None:
    """Owner, rights, attributes and times, in the order in which none undoes another. Raises OSError.

    `is_new`: it was made just now with its rights, and has no attributes.
    """
    follow = isinstance(at, int)
    if os.geteuid() == 0:
        os.chown(at, node.uid, node.gid, follow_symlinks=follow)
    if node.type != "symlink" and (not is_new or node.mode & ~0o777):
        _chmod(at, permissions(node.mode))
    if node.xattrs or not is_new:
        _attributes(node, at, follow)
    os.utime(at, ns=(node.atime_ns or node.mtime_ns, node.mtime_ns), follow_symlinks=follow)


def _chmod(at: bytes | int, bits: int) -> None:
    if isinstance(at, int):
        os.chmod(at, bits)
        return
    # Linux follows a link here whatever it is told, but not from a descriptor.
    here = os.open(at, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.chmod(f"/proc/self/fd/{here}", bits)
    finally:
        os.close(here)


def _attributes(node: Node, at: bytes | int, follow: bool) -> None:
    wanted = {os.fsdecode(name): value for name, value in node.xattrs}
    try:
        for name in set(os.listxattr(at, follow_symlinks=follow)) - set(wanted):
            os.removexattr(at, name, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in _NO_XATTRS:
            raise
    for name, value in wanted.items():
        os.setxattr(at, name, value, follow_symlinks=follow)


def _format(type: str) -> int:
    return {
        "file": stat.S_IFREG, "dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO,
        "socket": stat.S_IFSOCK, "dev": stat.S_IFBLK, "chardev": stat.S_IFCHR,
    }.get(type, 0)  # fmt: skip
