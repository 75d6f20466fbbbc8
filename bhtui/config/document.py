"""YAML text to plain data that remembers where each value was written.

Scalars are read by the core schema of YAML 1.2, as Compose does: `no` and `on` are words, `22:22` is text, and so is
`022`. Numbers keep the way they were written, for those who want text (`VERSION: 1.10`). Aliases, merge keys and
`x-...` keys work; a document that refers to itself or grows without measure is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .faults import Fault, Path, Place

MAXIMUM_TEXT = 4 << 20
MAXIMUM_VALUES = 100_000
MAXIMUM_DEPTH = 60
TOO_DEEP = f"this is nested more than {MAXIMUM_DEPTH} deep"
MERGE = "tag:yaml.org,2002:merge"
_Entry = tuple[yaml.Node, yaml.Node, bool]


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's parser with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's interface


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


class Int(int):
    """A whole number that remembers how it was written."""

    text: str


class Float(float):
    """A number that remembers how it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from besides its line: another file than the first, or an overlay."""

    file: str = ""
    layer: str = ""
    """`profiles.production`, `hosts.web-07`; empty: the base."""


HOME = Origin()


@dataclass(slots=True)
class Document:
    """What a file, or several that were joined, say: `data` is made of dict, list, str, Int, Float, bool and None."""

    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    """Of each value; of a mapping's entry it is where the key stands."""
    origins: dict[Path, Origin] = field(default_factory=dict)
    """Of values that were not written in the first file's base."""
    faults: list[Fault] = field(default_factory=list)

    def resolve(self, path: Path) -> Path:
        """The value at the path, or the nearest thing around it, that was written.

        A word may stand for an item of a list that is that word. Steps that lead nowhere are skipped.
        """
        found: Path = ()
        here: Any = self.data
        for step in path:
            if isinstance(here, list) and step in here and isinstance(step, str):
                step = here.index(step)
            if (*found, step) in self.places:
                found = (*found, step)
                here = here[step] if isinstance(here, (dict, list)) else None  # type: ignore[index]
        return found

    def place(self, path: Path) -> Place:
        """The line and column of what `resolve` finds."""
        return self.places.get(self.resolve(path), (0, 0))

    def file(self, path: Path) -> str:
        """The file of what `resolve` finds; empty: the first one."""
        return self.origins.get(self.resolve(path), HOME).file

    def at(self, path: Path) -> Any:
        """The value at the path, which must be there."""
        here = self.data
        for step in path:
            here = here[step]
        return here

    def adopt(self, path: Path, other: Document, origin: Path, layer: str = "") -> Any:
        """A copy of the other's value at `origin`, remembered as written at `path`; the caller puts it there."""
        self.remember(path, other, origin, layer)
        return self._copied(other.at(origin), path, other, origin, layer)

    def _copied(self, value: Any, path: Path, other: Document, origin: Path, layer: str) -> Any:
        if not isinstance(value, (dict, list)):
            return value
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        for key, _ in pairs:
            self.remember((*path, key), other, (*origin, key), layer)
        inner = [(key, self._copied(item, (*path, key), other, (*origin, key), layer)) for key, item in pairs]
        return dict(inner) if isinstance(value, dict) else [item for _, item in inner]

    def remember(self, path: Path, other: Document, origin: Path, layer: str = "") -> None:
        """Notes where the value at `path` was written: where the other's at `origin` was."""
        found = other.resolve(origin)
        self.places[path] = other.places.get(found, (0, 0))
        known = other.origins.get(found, HOME)
        mine = Origin(known.file, layer or known.layer)
        if mine == HOME:
            self.origins.pop(path, None)
        else:
            self.origins[path] = mine


def read(text: str) -> Document:
    """The document in the text. What is wrong with it is in `faults`; never raises."""
    if len(text) > MAXIMUM_TEXT:
        return Document(faults=[Fault((), f"the file is larger than {MAXIMUM_TEXT >> 20} MiB")])
    try:
        if (deep := _too_deep(text)) is not None:
            return Document(faults=[Fault((), TOO_DEEP, place=deep)])
        node = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Document(faults=[Fault((), _yaml_message(error), place=place)])
    except yaml.YAMLError as error:
        return Document(faults=[Fault((), f"this is not YAML: {str(error).splitlines()[0]}", place=(1, 1))])
    except (RecursionError, ValueError) as error:
        return Document(faults=[Fault((), f"this is not usable YAML: {type(error).__name__}", place=(1, 1))])
    reader = _Reader()
    if node is not None:
        try:
            reader.document.data = reader.value(node, ())
        except _Refused as refused:
            reader.document.data = None
            reader.document.faults.append(refused.fault)
    return reader.document


def _too_deep(text: str) -> Place | None:
    """Where the text goes deeper than is sensible. Asked first, for the composer recurses in C and would overflow."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAXIMUM_DEPTH:
                mark = event.start_mark
                return (mark.line + 1, mark.column + 1) if mark else (1, 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _yaml_message(error: yaml.MarkedYAMLError) -> str:
    if "nesting depth" in (error.problem or ""):  # PyYAML from 6.0.4 on has a bound of its own, a greater one
        return TOO_DEEP
    parts = [part for part in (error.problem, error.context) if part]
    return "this is not YAML: " + ", ".join(parts).replace("\n", " ")


class _Refused(Exception):
    """The document is refused as a whole."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Reader:
    """Turns PyYAML's nodes into data, counting what aliases make of them."""

    def __init__(self) -> None:
        self.document = Document()
        self.values = 0
        self.open: list[int] = []

    def count(self, node: yaml.Node, path: Path) -> Place:
        """Where the node stands; refuses the document when there are too many."""
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.values += 1
        if self.values > MAXIMUM_VALUES:
            raise _Refused(Fault(path, f"aliases make more than {MAXIMUM_VALUES:,} values of this file", place=place))
        return place

    def value(self, node: yaml.Node, path: Path) -> Any:
        place = self.count(node, path)
        self.document.places.setdefault(path, place)
        if id(node) in self.open:
            raise _Refused(Fault(path, "this value contains itself", "an alias refers to what it is a part of", place))
        if len(self.open) > 2 * MAXIMUM_DEPTH:  # aliases can nest what each alone is not too deep
            raise _Refused(Fault(path, f"aliases nest this more than {2 * MAXIMUM_DEPTH} deep", place=place))
        self.open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self.scalar(node, place)
        finally:
            self.open.pop()

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node, own in self.entries(node, path, ()):
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.faults.append(Fault(path, "a key must be a word", place=place))
                continue
            key = str(key_node.value)
            if key not in data:
                self.document.places[(*path, key)] = place
                data[key] = self.value(value_node, (*path, key))
            elif own:
                first = self.document.places[(*path, key)][0]
                self.document.faults.append(
                    Fault((*path, key), f"{key!r} is given twice", f"first in line {first}", place)
                )
        return data

    def entries(self, node: yaml.MappingNode, path: Path, around: tuple[int, ...]) -> Iterator[_Entry]:
        """Key, value and whether they are the mapping's own; then those that its `<<` brings, which come after."""
        self.count(node, path)
        sources: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag != MERGE:
                yield key, value, not around
            else:
                sources += value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            place = (source.start_mark.line + 1, source.start_mark.column + 1)
            if id(source) in (*around, id(node)):
                raise _Refused(Fault(path, "this mapping merges itself", place=place))
            if isinstance(source, yaml.MappingNode):
                yield from self.entries(source, path, (*around, id(node)))
            else:
                self.document.faults.append(Fault(path, "`<<` takes a mapping or a list of mappings", place=place))

    def scalar(self, node: yaml.Node, place: Place) -> Any:
        text, kind = str(node.value), node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return _whole(text)
                case "float":
                    return _number(text)
        except (ValueError, OverflowError):
            self.document.faults.append(Fault((), f"{text[:40]!r} is not a number that can be used", place=place))
            return None
        if kind not in ("str", "merge"):
            self.document.faults.append(Fault((), f"the tag {node.tag} has no meaning here", place=place))
        return text


def _whole(text: str) -> Int:
    if len(text) > 40:
        raise ValueError(text)
    number = Int(int(text, 0))
    number.text = text
    return number


def _number(text: str) -> Float:
    number = Float(text)
    if number in (float("inf"), float("-inf")) or number != number:
        raise OverflowError(text)
    number.text = text
    return number
