"""Nodes: one entry of a folder, as a tree blob says it.

(Design, "Trees and Data".) A tree is hashed as text, so its text must be the one that Go's encoding/json makes: fields
in this order, zero values left out where stock restic leaves them out, names quoted by Go's strconv.Quote.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import gotime
from .errors import damaged

MODE_DIR, MODE_SYMLINK, MODE_DEVICE, MODE_FIFO, MODE_SOCKET, MODE_CHAR = (
    1 << 31,
    1 << 27,
    1 << 26,
    1 << 25,
    1 << 24,
    1 << 21,
)
MODE_SETUID, MODE_SETGID, MODE_STICKY = 1 << 23, 1 << 22, 1 << 20
"""Bits of Go's FileMode, https://pkg.go.dev/io/fs#FileMode; the lowest nine are the rights."""

_KINDS = {
    stat.S_IFREG: ("file", 0),
    stat.S_IFDIR: ("dir", MODE_DIR),
    stat.S_IFLNK: ("symlink", MODE_SYMLINK),
    stat.S_IFBLK: ("dev", MODE_DEVICE),
    stat.S_IFCHR: ("chardev", MODE_DEVICE | MODE_CHAR),
    stat.S_IFIFO: ("fifo", MODE_FIFO),
    stat.S_IFSOCK: ("socket", MODE_SOCKET),
}
_SPECIAL = ((stat.S_ISUID, MODE_SETUID), (stat.S_ISGID, MODE_SETGID), (stat.S_ISVTX, MODE_STICKY))
_SIMPLE = re.compile(r"[ !#-%'-;=?-\[\]-~]*")
"""Printable ASCII that neither Go's strconv.Quote nor its JSON changes."""
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}
_UNESCAPES = {value[1]: key for key, value in _ESCAPES.items()} | {"'": "'"}
_ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)


@dataclass(slots=True)
class Node:
    """One entry of a folder. Times in Unix nanoseconds; `mode` in Go's bits; names in the bytes of the file system."""

    name: bytes
    type: str
    """`file dir symlink dev chardev fifo socket`; stock restic may have written others."""
    mode: int = 0
    mtime_ns: int = 0
    atime_ns: int = 0
    ctime_ns: int = 0
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: bytes = b""
    xattrs: list[tuple[str, bytes]] = field(default_factory=list)
    device: int = 0
    content: list[bytes] | None = None
    """Ids of the file's blobs in order; None: it is no file."""
    subtree: bytes | None = None
    """Id of the folder's tree."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of newer versions, kept as they are."""


def kind(st_mode: int) -> tuple[str, int]:
    """Type and Go's mode of what lstat said. A type that Linux does not have is a KeyError."""
    type, bits = _KINDS[stat.S_IFMT(st_mode)]
    for theirs, gos in _SPECIAL:
        if st_mode & theirs:
            bits |= gos
    return type, bits | st_mode & 0o777


def permissions(mode: int) -> int:
    """Go's mode as chmod takes it."""
    bits = mode & 0o777
    for theirs, gos in _SPECIAL:
        if mode & gos:
            bits |= theirs
    return bits


def encode(node: Node) -> str:
    """The node as text of a tree."""
    parts = [f'"name":{name_text(node.name)},"type":"{node.type}"']
    if node.mode:
        parts.append(f'"mode":{node.mode}')
    parts.append(
        f'"mtime":"{gotime.text(node.mtime_ns)}","atime":"{gotime.text(node.atime_ns)}",'
        f'"ctime":"{gotime.text(node.ctime_ns)}","uid":{node.uid},"gid":{node.gid}'
    )
    if node.user:
        parts.append(f'"user":{string_text(node.user)}')
    if node.group:
        parts.append(f'"group":{string_text(node.group)}')
    for key in ("inode", "device_id", "size", "links"):
        if value := getattr(node, key):
            parts.append(f'"{key}":{value}')  # noqa: PERF401
    if node.linktarget:
        parts.append(link_text(node.linktarget))
    if node.xattrs:
        parts.append(xattrs_text(node.xattrs))
    if "generic_attributes" in node.extra:
        parts.append(f'"generic_attributes":{_json(node.extra["generic_attributes"])}')
    if node.device:
        parts.append(f'"device":{node.device}')
    parts.append('"content":null' if node.content is None else f'"content":[{_ids(node.content)}]')
    if node.subtree is not None:
        parts.append(f'"subtree":"{node.subtree.hex()}"')
    parts.extend(
        f"{string_text(key)}:{_json(value)}" for key, value in node.extra.items() if key != "generic_attributes"
    )
    return "{" + ",".join(parts) + "}"


def tree(nodes: Iterable[str]) -> bytes:
    """A tree blob of encoded nodes, which the caller has sorted by the bytes of their names."""
    return ('{"nodes":[' + ",".join(nodes) + "]}\n").encode()


def parse_tree(id: bytes, plain: bytes) -> list[Node]:
    """The nodes of a tree blob. Raises EngineError: damaged."""
    try:
        return [_decode(each) for each in json.loads(plain)["nodes"] or ()]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise damaged(f"the folder {id.hex()[:8]}", f"it is not a tree ({error!r})") from error


def links(id: bytes, plain: bytes) -> tuple[list[bytes], list[bytes]]:
    """The blobs of all files of a tree, and its subtrees: a tenth of the work of `parse_tree`. Raises EngineError."""
    try:
        nodes = json.loads(plain)["nodes"] or ()
        content = [bytes.fromhex(id) for each in nodes if (ids := each.get("content")) for id in ids]
        return content, [bytes.fromhex(subtree) for each in nodes if (subtree := each.get("subtree"))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(f"the folder {id.hex()[:8]}", f"it is not a tree ({error!r})") from error


_INVALID = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as Python's surrogateescape holds them. Go writes each as six characters of escape."""
_KNOWN = {one.removesuffix("_ns") for one in Node.__dataclass_fields__ if one not in ("xattrs", "extra")} | {
    "linktarget_raw",
    "extended_attributes",
}


def _decode(said: dict[str, Any]) -> Node:
    get = said.get
    type, content, raw, subtree = said["type"], get("content"), get("linktarget_raw"), get("subtree")
    link, xattrs = get("linktarget", ""), get("extended_attributes")
    mtime, atime, ctime = get("mtime"), get("atime"), get("ctime")
    mtime_ns = _time(mtime)  # which is nearly always the access time too, and often that of the last change
    return Node(  # in the order of its fields: names would take a fifth of the time
        unquote(said["name"]),
        type,
        get("mode", 0),
        mtime_ns,
        mtime_ns if atime == mtime else _time(atime),
        mtime_ns if ctime == mtime else _time(ctime),
        get("uid", 0),
        get("gid", 0),
        get("user", ""),
        get("group", ""),
        get("inode", 0),
        get("device_id", 0),
        get("size", 0),
        get("links", 0),
        base64.b64decode(raw) if raw else link.encode("utf-8", "surrogateescape") if link else b"",
        [(one["name"], base64.b64decode(one["value"] or "")) for one in xattrs] if xattrs else [],
        get("device", 0),
        list(map(bytes.fromhex, content or ())) if content is not None or type == "file" else None,
        bytes.fromhex(subtree) if subtree else None,
        {} if said.keys() <= _KNOWN else {key: value for key, value in said.items() if key not in _KNOWN},
    )


def _time(text: str | None) -> int:
    return gotime.parse(text) if text else 0


def quote(name: bytes) -> str:
    """As Go's strconv.Quote, without the quotes around. https://pkg.go.dev/strconv#Quote"""
    text = name.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escape, text))


def unquote(text: str) -> bytes:
    """The inverse of `quote`. Raises ValueError."""
    if "\\" not in text:
        return text.encode()
    return b"".join(_unescape(part) if part.startswith("\\") else part.encode() for part in _pieces(text))


def _pieces(text: str) -> Iterable[str]:
    at = 0
    for found in _ESCAPED.finditer(text):
        yield text[at : found.start()]
        yield found.group()
        at = found.end()
    yield text[at:]


def _unescape(part: str) -> bytes:
    found = _ESCAPED.fullmatch(part)
    if found is None:
        raise ValueError(f"{part!r} is no escape of Go")
    byte, short, long, octal, letter = found.groups()
    if byte or octal:
        return bytes([int(byte, 16) if byte else int(octal, 8)])
    if short or long:
        return chr(int(short or long, 16)).encode()
    return _UNESCAPES[letter].encode()


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def name_text(name: bytes) -> str:
    """A name as JSON."""
    quoted = quote(name)
    return f'"{quoted}"' if _SIMPLE.fullmatch(quoted) else string_text(quoted)


def xattrs_text(xattrs: list[tuple[str, bytes]]) -> str:
    """The field of the extended attributes."""
    said = (f'{{"name":{string_text(key)},"value":"{base64.b64encode(value).decode()}"}}' for key, value in xattrs)
    return f'"extended_attributes":[{",".join(said)}]'


def link_text(target: bytes) -> str:
    """The fields of a link's target."""
    text = target.decode("utf-8", "surrogateescape")
    said = f'"linktarget":{string_text(text)}'
    if not _INVALID.search(text):
        return said
    return f'{said},"linktarget_raw":"{base64.b64encode(target).decode()}"'


def string_text(text: str) -> str:
    """A text as JSON."""
    return _INVALID.sub(lambda _: "\\ufffd", _json(text))


def _json(value: Any) -> str:
    """As Go's encoding/json: what HTML could take for a tag is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char, escape in (
        ("&", "\\u0026"),
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        if char in text:
            text = text.replace(char, escape)
    return text


def _ids(ids: list[bytes]) -> str:
    return ",".join(f'"{id.hex()}"' for id in ids)
