"""`${VAR}` in values, as Compose has it, and what may be said of values that came so: nothing.

    ${VAR}            its value; nothing when it is not set
    ${VAR:-default}   the default when it is not set or empty; ${VAR-default}: when it is not set
    ${VAR:?message}   a fault when it is not set or empty; ${VAR?message}: when it is not set
    ${VAR:+instead}   this when it is set and not empty; ${VAR+instead}: when it is set
    $$                a dollar sign

Defaults may hold variables. Another dollar sign, as in `$PATH`, stays for the shell that may come to see it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .document import Document
from .faults import Fault, Path, dotted

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-?+]|)")
_MUST_BE = re.compile(r"^(\S+ must be (?:(?!, not ).)*)")
_LETTERS = re.compile(r"[\W_]+")
MAXIMUM_DEPTH = 20


@dataclass(slots=True)
class Filled:
    """What became of the variables of a document."""

    used: dict[Path, dict[str, str]] = field(default_factory=dict)
    """By the path of each value that a variable is part of: the variables and their values."""
    unset: set[Path] = field(default_factory=set)
    """Values with a variable that is not set and has no default."""
    faults: list[Fault] = field(default_factory=list)

    def hide(self, fault: Fault, document: Document) -> Fault:
        """The fault without the value of a variable in it: that may be a secret."""
        at = document.resolve(fault.path)
        for path, used in self.used.items():
            names = ", ".join(f"${{{name}}}" for name in used)
            hint = f"it comes from {names}, which is not shown"
            if at[: len(path)] == path:
                said = _MUST_BE.match(fault.message)
                where = dotted(path) if any(value and value in dotted(fault.path) for value in used.values()) else ""
                message = f"{where or dotted(fault.path)} cannot be used"
                return replace(fault, path=path, message=said[1] if said and not where else message, hint=hint)
            if path[: len(at)] == at and any(_shows(fault, value) for value in used.values()):
                return replace(fault, path=path, message=f"{dotted(path)} cannot be used", hint=hint)
        return fault


def _shows(fault: Fault, value: str) -> bool:
    """Whether the value, or a word of it, can be seen; quotes and signs do not count, for messages escape them."""
    said = _LETTERS.sub("", f"{fault.message} {fault.hint}").lower()
    words = [_LETTERS.sub("", word).lower() for word in re.split(r"[\s=,:'\"]+", value)]
    whole = "".join(words)
    return bool(whole) and any(word[:40] in said for word in (whole, *words) if len(word) > 2 or word == whole)


def fill(document: Document, variables: Mapping[str, str]) -> Filled:
    """Puts the values of variables into the document's values. What cannot be is in `faults`."""
    filled = Filled()
    document.data = _fill(document.data, (), variables, filled)
    return filled


def _fill(value: Any, path: Path, variables: Mapping[str, str], filled: Filled) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _fill(item, (*path, key), variables, filled)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _fill(item, (*path, index), variables, filled)
    elif isinstance(value, str) and "$" in value:
        return _Text(path, variables, filled).fill(value)
    return value


class _Wrong(Exception):
    """The text is no use of variables; why is its argument."""


@dataclass(slots=True)
class _Text:
    path: Path
    variables: Mapping[str, str]
    filled: Filled
    live: bool = True
    """Whether what is read now is used; not so a default where there is a value."""

    def fill(self, text: str) -> str:
        try:
            made, _ = self.until(text, 0, "", 0)
        except _Wrong as wrong:
            self.filled.faults.append(Fault(self.path, f"{dotted(self.path)}: {wrong}"))
            return text
        return made

    def until(self, text: str, start: int, end: str, depth: int) -> tuple[str, int]:
        """The text from `start` to `end`, filled, and where what comes after it begins."""
        if depth > MAXIMUM_DEPTH:
            raise _Wrong(f"variables stand more than {MAXIMUM_DEPTH} deep in each other")
        made: list[str] = []
        here = start
        while here < len(text):
            if end and text[here] == end:
                return "".join(made), here + 1
            if text.startswith("$$", here):
                made.append("$")
                here += 2
            elif text.startswith("${", here):
                piece, here = self.variable(text, here + 2, depth)
                made.append(piece)
            else:
                made.append(text[here])
                here += 1
        if end:
            raise _Wrong("a variable is not closed; write ${NAME}, or $${ for the signs themselves")
        return "".join(made), here

    def variable(self, text: str, start: int, depth: int) -> tuple[str, int]:
        match = _VARIABLE.match(text, start)
        if match is None or (not match[2] and text[match.end() : match.end() + 1] != "}"):
            raise _Wrong("this is not a variable; write ${NAME}, ${NAME:-default} or $${ for the signs themselves")
        name, how = match[1], match[2]
        value = self.variables.get(name)
        is_there = bool(value) if how.startswith(":") else value is not None
        branch = self if is_there is how.endswith("+") else replace(self, live=False)
        other, after = branch.until(text, match.end(), "}", depth + 1)
        if how.endswith("+"):
            return (other if is_there else ""), after
        if is_there or (not how and value is not None):
            self._note(name, value or "")
            return value or "", after
        if self.live and how != ":-" and how != "-":
            self.filled.unset.add(self.path)
            if how:
                said = text[match.end() : after - 1]  # as it is written: it may hold variables that are secrets
                raise _Wrong(f"the variable {name} is not set" + (f": {said}" if said else ""))
        return (other if how.endswith("-") else ""), after

    def _note(self, name: str, value: str) -> None:
        if self.live:
            self.filled.used.setdefault(self.path, {})[name] = value
