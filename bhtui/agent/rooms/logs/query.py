"""Decides which lines a query wants, as fast as their bytes allow.

Lines are found in a whole block at once where that is sound: by a literal that every match must contain, or by the
regular expression itself where the block is ASCII (so that bytes and characters are the same). Only what is found that
way is looked at alone. Ignoring case is done on a lowered copy of the block, many times faster than a regular
expression that ignores case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bhtui.core import logfields
from bhtui.core.errors import UsageError
from bhtui.core.logs import LEVELS, LogsQuery
from bhtui.core.patterns import INVALID

from . import hints, levels

MAX_TAIL = 100_000
MAX_CONTEXT = 1000
_SHORTEST_LITERAL = 2
_AS_WRITTEN = re.compile(r"[\w@-]+", re.ASCII)
"""Keys that JSON has no need to escape."""
_HARD = re.compile(r"[|(]|\\[xuUN0-9]")
_COMPOUND = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{[^}]*\}", re.DOTALL)
_NOT_IN_BLOCK = re.compile(r"\^|\\[AZnrfv0-7xuN]|\(\?(?!:)|[*+?}]\+|\[\^|\\[WDSs]")
"""What may mean something else in a block than in a line: anchors, newlines, look-around, atomic groups, flags."""


def check(query: LogsQuery) -> None:
    """Raises UsageError when the query contradicts itself."""
    if query.level and query.level not in LEVELS:
        raise UsageError(
            f"cannot show level {query.level!r}: there is no such level; choose one of {', '.join(LEVELS)}"
        )
    if query.tail > MAX_TAIL:
        raise UsageError(f"cannot show the last {query.tail} lines: at most {MAX_TAIL}; use since to read more")
    if min(query.tail, query.since_ns, query.until_ns) < 0:
        raise UsageError("cannot read the logs: tail, since and until are zero or more")
    if not 0 <= query.context <= MAX_CONTEXT:
        raise UsageError(f"cannot show {query.context} lines around each: 0 to {MAX_CONTEXT} are possible")
    if query.follow and query.until_ns:
        raise UsageError("cannot follow until a time: leave out either follow or until")


def literals(pattern: str) -> list[str]:
    """Texts that every match of the pattern contains; none where that is not easily said."""
    if _HARD.search(pattern):
        return []
    runs, run, at = [], "", 0
    while at < len(pattern):
        char, at = _element(pattern, at)
        is_optional = pattern[at : at + 1] in ("*", "?", "{")
        if char and not is_optional:
            run += char
        if not char or is_optional or pattern[at : at + 1] == "+":
            runs.append(run)
            run = ""
    return [found for found in [*runs, run] if found]


def _element(pattern: str, at: int) -> tuple[str, int]:
    """The one character the element of a pattern stands for, or empty; and where the next element begins."""
    if (match := _COMPOUND.match(pattern, at)) is not None:
        escaped = match[0][1:] if match[0][0] == "\\" else ""
        return ("" if escaped.isalnum() else escaped), match.end()
    char = pattern[at]
    return ("" if char in ".^$*+?{[" else char), at + 1


class Matcher:
    """The compiled conditions of one query. Raises UsageError for a faulty regular expression."""

    def __init__(self, query: LogsQuery) -> None:
        check(query)
        self.since_ns = query.since_ns
        self.levels = frozenset(("", *LEVELS) if not query.level else LEVELS[levels.rank(query.level) :])
        """Which are serious enough; empty is that of lines in which none is recognised."""
        self.detector = levels.Detector()
        self._invert = query.invert
        self._lower = query.ignore_case
        self._pattern: re.Pattern[str] | None = None
        self._bytes: re.Pattern[bytes] | None = None
        self._block: re.Pattern[bytes] | None = None
        self._narrow: re.Pattern[bytes] | None = None
        self._literal = self._folded = b""
        """Part of every wanted line; `folded` where letters outside of ASCII may be the same as one of its letters."""
        self._conditions = [_condition(text) for text in query.fields]
        if query.grep:
            self._compile(query.grep, re.IGNORECASE if query.ignore_case else re.NOFLAG)
        if self._conditions and (query.invert or not self._literal):
            literal = max(map(_literal_of, self._conditions), key=len)
            self._literal = self._folded = (literal.lower() if self._lower else literal).encode()
            self._narrow = _narrow(query)

    def _compile(self, grep: str, flags: re.RegexFlag) -> None:
        try:
            self._pattern = re.compile(grep, flags)
        except INVALID as error:
            raise UsageError(
                f"cannot search for {grep!r}: {error}; a regular expression of Python is expected"
            ) from error
        if not grep.isascii():
            if not self._lower:
                self._literal = max(literals(grep), key=len, default="").encode()
            return
        try:
            self._bytes = re.compile(grep.encode(), flags)
            if _NOT_IN_BLOCK.search(grep) is None:
                self._block = re.compile(grep.encode(), flags | re.MULTILINE)
        except INVALID:
            return  # flags for characters only, as (?u): every line is searched as text
        found = [text.lower() if self._lower else text for text in literals(grep)]
        self._literal = max(found, key=len, default="").encode()
        self._folded = max((part for text in found for part in re.split("[iks]", text)), key=len, default="").encode()

    @property
    def wants_all(self) -> bool:
        """Whether nothing but its level and its time decides about a line."""
        return self._pattern is None and not self._conditions

    def lines(self, block: bytes) -> Iterator[bytes]:
        """The lines of a block (whole lines) that may be wanted, without newlines; all wanted ones are among them."""
        if self._narrow is not None:
            return self._with_match(block, self._narrow)
        literal = self._folded if self._lower and not block.isascii() else self._literal
        if len(literal) >= _SHORTEST_LITERAL and (self._conditions or not self._invert):
            return self._with_literal(block, literal)
        if self._pattern is None or self._invert:
            return iter(block.split(b"\n")[:-1])
        if self._block is not None and block.isascii():
            return self._with_match(block, self._block)
        return iter(block.split(b"\n")[:-1])

    def _with_literal(self, block: bytes, literal: bytes) -> Iterator[bytes]:
        searched = block.lower() if self._lower else block
        at = 0
        while (hit := searched.find(literal, at)) >= 0:
            start = block.rfind(b"\n", at, hit) + 1 or at
            at = block.index(b"\n", hit) + 1
            yield block[start : at - 1]

    def _with_match(self, block: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
        # A match may begin in the head of a line, or reach over its end, and so be none: then the search goes on at
        # the next line, never after the match.
        at = 0
        while at < len(block) and (match := pattern.search(block, at)) is not None and match.start() < len(block):
            start = block.rfind(b"\n", at, match.start()) + 1 or at
            at = block.index(b"\n", match.start()) + 1
            yield block[start : at - 1]

    def finds(self, text: bytes) -> bool:
        """Whether grep and the conditions on fields, if there are any, want this text."""
        if self._pattern is not None and self._is_found(text) == self._invert:
            return False
        return not self._conditions or self._holds(text)

    def _holds(self, text: bytes) -> bool:
        found = logfields.parse(text.decode("utf-8", "backslashreplace"))
        return found is not None and all(condition.holds(found.values) for condition in self._conditions)

    def _is_found(self, text: bytes) -> bool:
        if self._bytes is not None and text.isascii():
            return self._bytes.search(text) is not None
        assert self._pattern is not None
        return self._pattern.search(text.decode("utf-8", "surrogateescape")) is not None


def _condition(text: str) -> logfields.Condition:
    try:
        return logfields.Condition.read(text)
    except ValueError as error:
        raise UsageError(f"cannot search for the field {text!r}: {error}") from None


def _narrow(query: LogsQuery) -> re.Pattern[bytes] | None:
    """What is in every line with such fields, when that is more than a text."""
    found = hints.of_fields(query.fields)
    return re.compile("|".join(found.patterns).encode()) if found else None


def _literal_of(condition: logfields.Condition) -> str:
    """What every line for which it holds contains: the last part of its key. Nested ones are not written with dots."""
    last = condition.key.rpartition(".")[2]
    return last if condition.sign != "!=" and _AS_WRITTEN.fullmatch(last) else ""
