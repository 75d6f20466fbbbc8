"""One more service in the text of a configuration: everything that stands there already stays as it is, byte for byte.

What is found by the parser's own marks is then proved by reading the result; a text in which that cannot be done is
refused, never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .document import read
from .entry import Entry

EMPTY = ("", "~", "null", "Null", "NULL")


class CannotInsert(ValueError):
    """Why not, in words."""


@dataclass(slots=True)
class _Part:
    """A value of the text and where it stands; of a block collection `end` is where its last content ends."""

    kind: str
    start: Any
    end: Any
    """The parser's marks: `index` and `column`."""
    text: str = ""
    in_flow: bool = False
    is_block_text: bool = False
    items: list[_Part] = field(default_factory=list)
    """Of a mapping keys and values in turn."""

    @property
    def pairs(self) -> list[tuple[_Part, _Part]]:
        return list(zip(self.items[::2], self.items[1::2], strict=True))


def add_service(text: str, entry: Entry) -> str:
    """The text with the service in it. Raises CannotInsert."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    old = text[len(mark) :]
    before = read(old)
    if before.faults:
        raise CannotInsert(f"the file has faults: {before.faults[0].message}")
    try:
        new = _Insertion(old).add(entry)
    except yaml.YAMLError as error:
        raise CannotInsert(f"the file cannot be read: {str(error).splitlines()[0]}") from None
    _prove(before.data, read(new), entry)
    return mark + new


def _prove(before: object, after: object, entry: Entry) -> None:
    """The result says what was said before and the entry, and nothing else."""
    wanted = dict(before) if isinstance(before, dict) else {}
    services = wanted.get("services")
    mine = read("\n".join(entry.lines())).data
    wanted["services"] = {**(services if isinstance(services, dict) else {}), **mine}
    if getattr(after, "faults", True) or getattr(after, "data", None) != wanted:
        raise CannotInsert("it is laid out so that nothing can be added safely")


class _Insertion:
    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def add(self, entry: Entry) -> str:
        root, end = _composed(self.text)
        if root is None or (root.kind == "scalar" and root.text in EMPTY and root.start.index == root.end.index):
            return self._at(end, ["services:", *_indented(entry.lines(), 2)])
        if root.kind != "map":
            raise CannotInsert("it is not a mapping of sections")
        services = next((value for key, value in root.pairs if key.text == "services"), None)
        if services is None:
            return self._section(root, entry, end)
        key = next(key for key, _ in root.pairs if key.text == "services")
        if services.kind == "map" and services.in_flow:
            return self._in_flow(services, entry.flow())
        if services.kind == "map" and services.items:
            column = services.items[0].start.column
            return self._at(self._after(services, column), _indented(entry.lines(), column))
        if services.kind == "scalar" and services.text in EMPTY and not root.in_flow:
            return self._in_empty(key, services, entry)
        raise CannotInsert("`services` is not written as a mapping there")

    def _section(self, root: _Part, entry: Entry, end: int) -> str:
        if root.in_flow:
            return self._in_flow(root, f"services: {{{entry.flow()}}}")
        column = root.items[0].start.column if root.items else 0
        return self._at(end, _indented(["services:", *_indented(entry.lines(), 2)], column))

    def _in_empty(self, key: _Part, value: _Part, entry: Entry) -> str:
        """`services:` with nothing behind it, or `~`."""
        cut = _Insertion(self.text[: value.start.index] + self.text[value.end.index :])
        cut.newline = self.newline
        column = key.start.column + 2
        at = cut._after_comments(cut._line_end(key.end.index), key.start.column + 1)
        return cut._at(at, _indented(entry.lines(), column))

    def _in_flow(self, mapping: _Part, item: str) -> str:
        at = mapping.end.index - 1  # the closing brace
        comma = "" if not mapping.items or self._ends_with_comma(mapping, at) else ", "
        return self.text[:at] + comma + item + self.text[at:]

    def _ends_with_comma(self, mapping: _Part, at: int) -> bool:
        lines = self.text[mapping.items[-1].end.index : at].splitlines()
        return any("," in line.partition("#")[0] for line in lines)

    def _after(self, mapping: _Part, column: int) -> int:
        """Behind the last line of a block mapping, and behind the comments that are indented as its keys or more."""
        last = _last(mapping)
        at = last.end.index if last.is_block_text and last.end.column == 0 else self._line_end(last.end.index)
        return self._after_comments(at, column)

    def _after_comments(self, at: int, column: int) -> int:
        best, here = at, at
        while here < len(self.text):
            end = self._line_end(here)
            line = self.text[here:end].rstrip("\r\n")
            if line.strip() and not (line.lstrip().startswith("#") and len(line) - len(line.lstrip()) >= column):
                break
            best = end if line.strip() else best
            here = end
        return best

    def _line_end(self, index: int) -> int:
        """Where the next line begins."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    def _at(self, index: int, lines: list[str]) -> str:
        before, after = self.text[:index], self.text[index:]
        gap = self.newline if before and not before.endswith("\n") else ""
        return before + gap + "".join(line + self.newline for line in lines) + after


def _indented(lines: list[str], column: int) -> list[str]:
    return [" " * column + line for line in lines]


def _last(part: _Part) -> _Part:
    """What stands last in a value."""
    while part.items and not part.in_flow:
        part = part.items[-1]
    return part


def _composed(text: str) -> tuple[_Part | None, int]:
    """The first document's value, and where it ends: at its `...`, or with the text.

    Parsed by Python's own scanner, whose marks are the same in every installation.
    """
    events = iter(yaml.parse(text, yaml.SafeLoader))
    root: _Part | None = None
    for event in events:
        if isinstance(event, yaml.DocumentEndEvent):
            if event.explicit and event.start_mark:
                return root, event.start_mark.index
        elif isinstance(event, yaml.NodeEvent) and root is None:
            root = _part(event, events)
    return root, len(text)


def _part(event: yaml.NodeEvent, events: Iterator[yaml.Event]) -> _Part:
    if isinstance(event, yaml.ScalarEvent):
        block = event.style in ("|", ">")
        return _Part("scalar", event.start_mark, event.end_mark, event.value, False, block)
    if isinstance(event, yaml.AliasEvent):
        return _Part("alias", event.start_mark, event.end_mark)
    assert isinstance(event, yaml.CollectionStartEvent)
    kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
    part = _Part(kind, event.start_mark, event.end_mark, in_flow=bool(event.flow_style))
    for inner in events:
        if isinstance(inner, yaml.CollectionEndEvent):
            part.end = inner.end_mark
            return part
        if isinstance(inner, yaml.NodeEvent):
            part.items.append(_part(inner, events))
    return part
