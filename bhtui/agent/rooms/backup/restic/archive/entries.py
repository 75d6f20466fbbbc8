"""What a tree says of an entry, made straight from lstat: text in, text out, no objects between.

It is the very text that `node.encode` makes (a test holds them together), which costs a third of the time.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from contextlib import suppress
from functools import lru_cache

from .. import gotime
from ..node import kind, link_text, name_text, string_text, xattrs_text

_NO_XATTRS = (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENODATA, errno.EINVAL, errno.E2BIG)


@lru_cache(4096)
def _owner(uid: int, gid: int) -> str:
    text = f'"uid":{uid},"gid":{gid},'
    with suppress(KeyError):
        text += f'"user":{string_text(pwd.getpwuid(uid).pw_name)},'
    with suppress(KeyError):
        text += f'"group":{string_text(grp.getgrgid(gid).gr_name)},'
    return text


@lru_cache(256)
def _type_and_mode(st_mode: int) -> str:
    type, mode = kind(st_mode)
    return f'"type":"{type}",' + (f'"mode":{mode},' if mode else "")


def beginning(name: bytes, st: os.stat_result, size: int) -> str:
    """The fields that lstat gives. Ends where a link's target, attributes, device and content follow.

    `size` is how many bytes were read of a file. The access time is the one of the last change, as stock restic writes
    it: another would make every folder new at every backup. So would a device's number, which changes with a reboot, so
    it stands only where it tells hard links apart.
    """
    mode, mtime = st.st_mode, gotime.text(st.st_mtime_ns)
    text = (
        f'{{"name":{name_text(name)},{_type_and_mode(mode)}"mtime":"{mtime}","atime":"{mtime}",'
        f'"ctime":"{gotime.text(st.st_ctime_ns)}",{_owner(st.st_uid, st.st_gid)}"inode":{st.st_ino},'
    )
    if stat.S_ISDIR(mode):
        return text
    if st.st_nlink > 1:
        text += f'"device_id":{st.st_dev},'
    if stat.S_ISREG(mode):
        return f'{text}"size":{size},"links":{st.st_nlink},' if size else f'{text}"links":{st.st_nlink},'
    if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
        return text
    return f'{text}"links":{st.st_nlink},'


def attributes(path: bytes | int) -> str:
    """The extended attributes with their comma; access lists are among them. `path` is relative, or a descriptor."""
    follow = isinstance(path, int)
    try:
        names = os.listxattr(path, follow_symlinks=follow)
        if not names:
            return ""
        return xattrs_text([(name, os.getxattr(path, name, follow_symlinks=follow)) for name in names]) + ","
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return ""
        raise


def file_end(content: str) -> str:
    """The end of a file's text; `content` is its ids, quoted, with commas."""
    return f'"content":[{content}]}}'


def folder_end(subtree: bytes) -> str:
    """The end of a folder's text."""
    return f'"content":null,"subtree":"{subtree.hex()}"}}'


def special(name: bytes, st: os.stat_result, target: bytes, xattrs: str) -> str:
    """What is neither a file nor a folder."""
    text = beginning(name, st, 0)
    if target:
        text += link_text(target) + ","
    text += xattrs
    if st.st_rdev and (stat.S_ISBLK(st.st_mode) or stat.S_ISCHR(st.st_mode)):
        text += f'"device":{st.st_rdev},'
    return text + '"content":null}'
