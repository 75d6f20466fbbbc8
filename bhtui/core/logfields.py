"""What is inside a log line: its message and its fields, whichever of the common libraries wrote it.

- JSON objects, as zap, logrus, slog, structlog, bunyan, pino and Elastic's ECS write them; nested ones are named with
  dots: `http.status`;
- the same behind the columns of zap's console form, which tabs divide;
- logfmt (`level=info msg="cannot connect" port=5432`), also behind plain text and behind klog's head.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bhtui.core.patterns import INVALID

MESSAGE_KEYS = ("message", "msg", "event", "text", "@m", "@mt", "@message", "short_message")
"""In the order in which they are looked for."""
LEVEL_KEYS = ("level", "lvl", "severity", "levelname", "log.level", "loglevel", "level_name", "@level", "@l")
TIME_KEYS = ("time", "ts", "timestamp", "@timestamp", "t", "@t", "datetime", "asctime")
KNOWN_KEYS = frozenset({*MESSAGE_KEYS, *LEVEL_KEYS, *TIME_KEYS})

_PAIR = re.compile(r'(?:^|(?<=[\s,({\[]))([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|[^\s,"]*)')
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_CONDITION = re.compile(r"([^=!~<>\s]+)\s*(!=|>=|<=|=|~|>|<)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fields:
    """One line taken apart."""

    message: str
    """What it says; empty where it has fields only."""
    values: Mapping[str, Any]
    """Everything it names, the message, level and time included, in its order."""

    @property
    def rest(self) -> dict[str, Any]:
        """What is neither its message, its level nor its time."""
        return {key: value for key, value in self.values.items() if key not in KNOWN_KEYS}


def parse(line: str) -> Fields | None:
    """The parts of a line; None when it names nothing."""
    if line.startswith("{") and (values := _object(line)) is not None:
        return Fields(next((text_of(values[key]) for key in MESSAGE_KEYS if key in values), ""), values)
    at = line.find("\t{")
    if at >= 0 and (values := _object(line[at + 1 :])) is not None:
        return Fields(line[:at].rpartition("\t")[2], values)
    pairs = [(match, match[1], _unquoted(match[2])) for match in _PAIR.finditer(line)] if "=" in line else []
    if not pairs:
        return None
    values = {key: value for _, key, value in pairs}
    said = next((values[key] for key in MESSAGE_KEYS if key in values), None)
    return Fields(line if said is None else said, values)


def text_of(value: Any) -> str:
    """A value as people write it: text without quotes, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Condition:
    """`KEY=VALUE`, `KEY!=VALUE`, `KEY~REGEX`, or a comparison of numbers: `KEY>=500`."""

    key: str
    sign: str
    value: str

    @classmethod
    def read(cls, text: str) -> Condition:
        """Raises ValueError with what is wrong."""
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise ValueError("KEY=VALUE is expected, or !=, ~ (a regular expression), >, >=, <, <= in place of =")
        key, sign, value = match.groups()
        if sign == "~":
            try:
                re.compile(value)
            except INVALID as error:
                raise ValueError(f"{value!r} is no regular expression: {error}") from None
        if sign in (">", ">=", "<", "<=") and number(value) is None:
            raise ValueError(f"{value!r} is no number, which {sign} compares")
        return cls(key, sign, value)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether fields are so. A field that is not there is unlike every value, and no condition but != holds."""
        if self.key not in values:
            return self.sign == "!="
        there = values[self.key]
        if self.sign == "~":
            return re.search(self.value, text_of(there)) is not None
        ours, theirs = number(self.value), number(there)
        if ours is None or theirs is None:
            return self.sign in ("=", "!=") and _OPERATORS[self.sign](text_of(there), self.value)
        return _OPERATORS[self.sign](theirs, ours)


def number(value: Any) -> float | None:
    """The number that a value is, or is written as; None for any other, and for what is not even equal to itself."""
    if isinstance(value, bool) or (isinstance(value, str) and _NUMBER.fullmatch(value) is None):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(found) else found


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
        return _flat(found) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        return None


def _flat(found: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in found.items():
        if isinstance(value, dict) and value:
            values |= _flat(value, f"{before}{key}.")
        else:
            values[f"{before}{key}"] = value
    return values


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]
