"""The filter language of every `/`: words that must all be found, `!word` that must not; each a regular expression.

In a log a word may also be a condition on a field of JSON and logfmt lines: `status>=500`, `!user~^bot`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from bhtui.core import logfields
from bhtui.core.logfields import Condition
from bhtui.core.patterns import INVALID

_WORD = re.compile(r'(!?)"([^"]*)"|(!?)(\S+)')
_FIELD = re.compile(r"[A-Za-z_@][\w.@/-]*(?:!=|>=|<=|[=~><])[^=~<>].*")
"""What is meant as a condition: a name, a sign, and something behind it that does not look like an arrow or `==`."""
_NOT_INSIDE = re.compile(r"\\[1-9]|\(\?(?![:=!]|<[=!])")
"""What means something else inside a larger expression: references to groups, names of groups, flags."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed filter. An empty one matches everything."""

    text: str = ""
    wanted: tuple[re.Pattern[str], ...] = ()
    unwanted: tuple[re.Pattern[str], ...] = ()
    holding: tuple[Condition, ...] = ()
    """What must hold of the fields of a line."""
    failing: tuple[Condition, ...] = ()
    """What must not."""

    def matches(self, text: str) -> bool:
        return all(one.search(text) for one in self.wanted) and not any(one.search(text) for one in self.unwanted)

    def matches_line(self, host: str, instance: str, message: str) -> bool:
        """Whether a log line passes. A word may be found in what it says, or in the names of where it is from."""
        rest = _beyond_names(self, host, instance)
        if rest is None or not rest.matches(message):
            return False
        return not (self.holding or self.failing) or self._holds(message)

    def _holds(self, message: str) -> bool:
        found = logfields.parse(message)
        if found is None:  # as at the host: a line without fields meets no condition
            return not self.holding
        values = found.values
        return all(one.holds(values) for one in self.holding) and not any(one.holds(values) for one in self.failing)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the wanted words are, in order, not overlapping."""
        found = sorted(
            match.span() for one in self.wanted for match in one.finditer(text) if match.end() > match.start()
        )
        out: list[tuple[int, int]] = []
        for start, end in found:
            if not out or start >= out[-1][1]:
                out.append((start, end))
        return out


@dataclass(frozen=True, slots=True)
class HostSide:
    """What of a filter the host can decide. All lines that pass the filter are among those it lets through."""

    grep: str = ""
    ignore_case: bool = False
    invert: bool = False
    fields: tuple[str, ...] = ()
    exact: bool = True
    """Nothing is left for the console to decide."""


@lru_cache(maxsize=64)
def parse(text: str) -> Query:
    """The query in a text: `time.?out !health "two words"`. Lower case finds either case; what is no valid expression
    is searched as it stands, so that half-typed filters never fail."""
    return _parsed(text, fields=False)


@lru_cache(maxsize=64)
def parse_log(text: str) -> Query:
    """As `parse`, with conditions on fields. In quotes a word is a text in any case: `"a=b"`."""
    return _parsed(text, fields=True)


def _parsed(text: str, fields: bool) -> Query:
    wanted: list[re.Pattern[str]] = []
    unwanted: list[re.Pattern[str]] = []
    holding: list[Condition] = []
    failing: list[Condition] = []
    for match in _WORD.finditer(text):
        is_quoted = match[2] is not None
        word = match[2] if is_quoted else match[4]
        inverse = bool(match[1] or match[3])
        if not word or word == "!":
            continue
        condition = _condition(word) if fields and not is_quoted else None
        if condition is not None:
            (failing if inverse else holding).append(condition)
        else:
            (unwanted if inverse else wanted).append(_pattern(word))
    return Query(text.strip(), tuple(wanted), tuple(unwanted), tuple(holding), tuple(failing))


def _condition(word: str) -> Condition | None:
    """None for what is only half typed, too: it is searched as a text until it is whole."""
    if _FIELD.fullmatch(word) is None:
        return None
    try:
        return Condition.read(word)
    except ValueError:
        return None


def _pattern(word: str) -> re.Pattern[str]:
    flags = re.IGNORECASE if word == word.lower() else re.NOFLAG
    try:
        return re.compile(word, flags)
    except INVALID:
        return re.compile(re.escape(word), flags)


@lru_cache(maxsize=4096)
def _beyond_names(query: Query, host: str, instance: str) -> Query | None:
    """What is left to find in the lines of an instance; None when its names alone say that none passes."""

    def named(word: re.Pattern[str]) -> bool:
        return bool(word.search(host) or word.search(instance))

    if any(map(named, query.unwanted)):
        return None
    return Query("", tuple(word for word in query.wanted if not named(word)), query.unwanted)


def host_side(query: Query, host: str, instances: frozenset[str]) -> HostSide:
    """The part of a filter that a host can decide for lines of these instances, whose names the words may also mean."""
    names = [host, *instances]

    def is_safe(word: re.Pattern[str]) -> bool:
        return word.pattern.isascii() and _NOT_INSIDE.search(word.pattern) is None

    wanted = [one for one in query.wanted if is_safe(one) and not any(map(one.search, names))]
    unwanted = [one for one in query.unwanted if is_safe(one)]
    fields = tuple(f"{one.key}{one.sign}{one.value}" for one in query.holding)
    kept = len(wanted) == len(query.wanted) and len(unwanted) == len(query.unwanted) and not query.failing
    exact = kept and not any(one.search(name) for one in query.unwanted for name in names)
    if len(wanted) + len(unwanted) == 1:
        [one] = wanted or unwanted
        return HostSide(one.pattern, bool(one.flags & re.IGNORECASE), not wanted, fields, exact)
    ahead = [f"(?=.*{_grouped(one)})" for one in wanted] + [f"(?!.*{_grouped(one)})" for one in unwanted]
    return HostSide("^" + "".join(ahead) if ahead else "", fields=fields, exact=exact)


def _grouped(word: re.Pattern[str]) -> str:
    return f"(?{'i' if word.flags & re.IGNORECASE else ''}:{word.pattern})"
