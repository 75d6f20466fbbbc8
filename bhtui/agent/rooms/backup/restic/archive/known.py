"""The folder as the snapshot before has it: found by text, so that what has not changed costs no parsing."""

from __future__ import annotations

import json
import re

from .. import gotime
from ..index import Index

_NODE = re.compile(r'\{"name":("(?:[^"\\]|\\.)*"),"type":"')
_FILE_END = re.compile(r'(?:"extended_attributes":\[[^\]]*\],)?"content":\[((?:"[0-9a-f]{64}",?)*)\]\}')
_SUBTREE = re.compile(r'"subtree":"([0-9a-f]{64})"')


class Known:
    """A tree of the parent snapshot; asked for names in the order they stand in."""

    def __init__(self, raw: str, index: Index) -> None:
        self.raw = raw
        self._index = index
        self._at = raw.find('{"name"')
        self._spans: dict[str, tuple[int, int]] | None = None

    def same(self, beginning: str) -> str | None:
        """The text of a file that has not changed: it begins like this, and all its blobs are there."""
        start = self._at if self.raw.startswith(beginning, self._at) else self._start(beginning)
        if start < 0 or not (end := _FILE_END.match(self.raw, start + len(beginning))):
            return None
        self._at = end.end() + 1
        return self.raw[start : end.end()] if self._all_there(end.group(1)) else None

    def text(self, name_text: str) -> str:
        """The text of an entry, whatever it was; empty: there was none."""
        start, end = self._find(name_text)
        return self.raw[start:end]

    def subtree(self, name_text: str) -> bytes:
        """The tree of a folder; empty: there was none."""
        found = _SUBTREE.search(self.raw, *self._find(name_text))
        return bytes.fromhex(found.group(1)) if found else b""

    def same_file(self, name_text: str, st_ino: int, size: int, mtime_ns: int, ctime_ns: int) -> str | None:
        """The content (ids, quoted) of a file that has not changed, written by whomever; None: it has changed."""
        text = self.text(name_text)
        if not text:
            return None
        said = json.loads(text)
        if said.get("type") != "file" or (said.get("inode", 0), said.get("size", 0)) != (st_ino, size):
            return None
        if (gotime.parse(said["mtime"]), gotime.parse(said["ctime"])) != (mtime_ns, ctime_ns):
            return None
        content = ",".join(f'"{id}"' for id in said.get("content") or ())
        return content if self._all_there(content) else None

    def _all_there(self, content: str) -> bool:
        return all(bytes.fromhex(content[at : at + 64]) in self._index for at in range(1, len(content), 67))

    def _start(self, beginning: str) -> int:
        start, _ = self._find(beginning[8 : beginning.index(',"type":"')])
        return start if self.raw.startswith(beginning, start) else -1

    def _find(self, name_text: str) -> tuple[int, int]:
        if self._spans is None:
            found = [(each.group(1), each.start()) for each in _NODE.finditer(self.raw)]
            ends = [start - 1 for _, start in found[1:]] + [self.raw.rfind("]")]  # one more than an empty folder has
            self._spans = {name: (start, end) for (name, start), end in zip(found, ends, strict=False)}
        return self._spans.get(name_text, (0, 0))
