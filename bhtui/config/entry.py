"""A service written as YAML, for a file that people go on editing: short, with remarks, quoted where it must be.

Written is what `document` reads back as the same values. Dollar signs that would be taken for variables are doubled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = str | int | Sequence[str | int] | Mapping[str, str | int | Mapping[str, int]]

_PLAIN = re.compile(r"[A-Za-z0-9_./~=+-][A-Za-z0-9_./~=+@%^,-]*")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z0-9_./~=+-][A-Za-z0-9_./~=+@%^-]*")
_NO_TEXT = re.compile(
    r"(?:~|null|true|false|yes|no|on|off|y|n|[-+]?\.?(?:inf|nan)|[-+.]?[0-9].*|[-=.+]+|---.*|<<)", re.IGNORECASE
)
"""What some reader of YAML takes for something else than text; too much rather than too little."""
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\x1b": "\\e"}
WIDTH = 100
"""Columns up to which a list stands in one line."""


@dataclass(frozen=True, slots=True)
class Field:
    """A key and its value; `variables` leaves `${...}` in texts as they are, because they are meant."""

    key: str
    value: Value
    variables: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """A line for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One service."""

    name: str
    body: tuple[Field | Remark, ...]

    def lines(self) -> list[str]:
        """As a block, the name in the first column."""
        lines = [f"{self.name}:"]
        for each in self.body:
            if isinstance(each, Remark):
                lines.append(f"  # {_one_line(each.text)}")
            else:
                lines += [f"  {line}" for line in _field(each)]
        return lines

    def flow(self) -> str:
        """In one line, for a file that is written so; remarks have no place there."""
        fields = [each for each in self.body if isinstance(each, Field)]
        inside = ", ".join(f"{_key(each.key)}: {_flow(each.value, each.variables)}" for each in fields)
        return f"{self.name}: {{{inside}}}"


def _field(field: Field) -> list[str]:
    key, value = _key(field.key), field.value
    if isinstance(value, (str, int)):
        return [f"{key}: {scalar(value, variables=field.variables)}"]
    line = f"{key}: {_flow(value, field.variables)}"
    if len(line) <= WIDTH:
        return [line]
    if isinstance(value, Mapping):
        pairs = [f"  {_key(name)}: {_flow(item, field.variables)}" for name, item in value.items()]
        return [f"{key}:", *pairs]
    return [f"{key}:", *(f"  - {scalar(item, variables=field.variables)}" for item in value)]


def _flow(value: Value, variables: bool) -> str:
    if isinstance(value, (str, int)):
        return scalar(value, flow=True, variables=variables)
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)}: {_flow(item, variables)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(scalar(item, flow=True, variables=variables) for item in value) + "]"


def _key(text: str) -> str:
    return scalar(text, flow=True, variables=True)


def scalar(value: str | int, flow: bool = False, variables: bool = False) -> str:
    """One value, quoted where a reader would take it for something else."""
    if isinstance(value, int):
        return str(value)
    text = value if variables or not ("${" in value or "$$" in value) else value.replace("$", "$$")
    plain = _PLAIN_IN_FLOW if flow else _PLAIN
    if plain.fullmatch(text) and not _NO_TEXT.fullmatch(text):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() and char != "\ufeff":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_writable(text: str) -> bool:
    """Whether YAML can hold the text: not what is no character, as from a file name that is not UTF-8."""
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
