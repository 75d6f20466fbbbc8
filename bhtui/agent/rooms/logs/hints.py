"""What every line that a query wants contains: so little that a search engine can look for it in the bytes of a file.

A hint says "perhaps here"; whether a line is wanted is always decided by `query.Matcher`. So a hint may find too much,
and never too little. Its patterns mean the same to `re` (of bytes, lines apart) and to ripgrep.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import _constants as op  # type: ignore[attr-defined] # the tree is what `re` itself reads a pattern into
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from bhtui.core import logfields
from bhtui.core.logs import LEVELS, LogsQuery
from bhtui.core.patterns import INVALID

from . import levels

SHORTEST = 3
"""Bytes of a text that is worth looking for."""
_MOST_SHARPENED, _FURTHEST = 4, 40
"""Texts, and characters of each, that are compared with a sample: about a millisecond."""
_MOST = 50
"""Alternatives; more are slower than looking at each line."""
_PLAIN = re.compile(r"[A-Za-z0-9_@.-]+")
"""What stands in JSON and logfmt as it is, whoever wrote it."""
_IN_TEXT = re.compile(r"[A-Za-z0-9_@. -]+")
_FOLDS_ALONE = re.compile(r"[^\x01-\x09\x0b-HJ-hj-\x7f]")
"""Where a text that ignores case is cut: `i` is also \u0130 and \u0131 to Python, and to nobody else."""
_UNSPEAKABLE = re.compile("[\0\n\ud800-\udfff]")
_ROUND = re.compile(r"[1-9]\d{0,14}")


class Hint(NamedTuple):
    """Every wanted line matches one of the patterns."""

    patterns: tuple[str, ...]
    ignore_case: bool
    weight: int
    """How much of it says something, in characters: more finds less that is not wanted."""
    texts: tuple[str, ...] = ()
    """The patterns as they are written in a line, where they are texts."""

    def sharpened(self, sample: bytes) -> Hint:
        """Each text from where it is least like a sample of what is searched: an engine looks for its first bytes."""
        if not 0 < len(self.texts) <= _MOST_SHARPENED:
            return self
        if self.ignore_case:
            sample = sample.lower()
        patterns = [quoted(_from_rarest(text, sample, ignore_case=self.ignore_case)) for text in self.texts]
        return self._replace(patterns=(*patterns, *self.patterns[len(patterns) :]))


def hint(query: LogsQuery) -> Hint | None:
    """The best there is for a query, or None."""
    found = [of_fields(query.fields)]
    if query.grep and not query.invert:
        found.append(of_pattern(query.grep, ignore_case=query.ignore_case))
    return _best(found) or _of_level(query.level)


def of_fields(conditions: Sequence[str]) -> Hint | None:
    """The best that conditions on fields say."""
    return _best(_of_condition(logfields.Condition.read(text)) for text in conditions)


def _best(found: Iterable[Hint | None]) -> Hint | None:
    return max((each for each in found if each is not None), key=lambda each: each.weight, default=None)


def of_pattern(pattern: str, *, ignore_case: bool) -> Hint | None:
    """Texts of which every match of a regular expression contains one."""
    try:
        tree = parser.parse(pattern)
    except INVALID:
        return None
    ignore_case = ignore_case or bool(tree.state.flags & re.IGNORECASE)
    texts = _needles(tree, ignore_case)
    if texts is None or len(texts) > _MOST or (weight := min(len(text.encode()) for text in texts)) < SHORTEST:
        return None
    written = tuple(sorted(texts))
    return Hint(tuple(map(quoted, written)), ignore_case, weight, written)


def _from_rarest(text: str, sample: bytes, *, ignore_case: bool) -> str:
    searched = text.lower() if ignore_case else text
    starts = range(min(len(text) - SHORTEST, _FURTHEST) + 1)
    return text[min(starts, key=lambda at: sample.count(searched[at : at + SHORTEST].encode())) :]


def quoted(text: str) -> str:
    """The text as a pattern; `re.escape` would also escape what only Python allows to be."""
    return re.sub(r"[^\w\s\"'%,/:;<=>@`!&#~-]", lambda match: f"\\{match[0]}", text)


def _needles(tree: Iterable[tuple[Any, Any]], ignore_case: bool) -> frozenset[str] | None:
    """Of the elements of a sequence, the one whose texts say most; None when none says anything."""
    best: frozenset[str] | None = None
    run = ""
    for code, value in [*tree, (None, None)]:
        if code is op.LITERAL:
            run += chr(value)
            continue
        for texts in (_pieces(run, ignore_case), _inside(code, value, ignore_case)):
            if texts and (best is None or min(map(len, texts)) > min(map(len, best))):
                best = texts
        run = ""
    return best


def _pieces(run: str, ignore_case: bool) -> frozenset[str] | None:
    cut = (_FOLDS_ALONE if ignore_case else _UNSPEAKABLE).split(run)
    longest = max(cut, key=len)
    return frozenset([longest]) if longest else None


def _inside(code: Any, value: Any, ignore_case: bool) -> frozenset[str] | None:
    """The texts of one element that is not a single character."""
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return _needles(value[2], ignore_case) if value[0] > 0 else None
    if code is op.ATOMIC_GROUP:
        return _needles(value, ignore_case)
    if code is op.SUBPATTERN:
        _, added, _, tree = value
        return _needles(tree, ignore_case) if ignore_case or not added & re.IGNORECASE else None
    if code is op.BRANCH:
        texts = [_needles(branch, ignore_case) for branch in value[1]]
        return frozenset().union(*(each or frozenset() for each in texts)) if all(texts) else None
    return None


def _of_condition(condition: logfields.Condition) -> Hint | None:
    key, value = condition.key.rpartition(".")[2], condition.value
    if condition.sign == "=" and value[:1] not in ("[", "{") and logfields.number(value) is None:
        longest = max(_IN_TEXT.findall(value), key=len, default="")
        return Hint((quoted(longest),), False, len(longest)) if len(longest) >= SHORTEST else None
    if not (_PLAIN.fullmatch(key) and _ROUND.fullmatch(value)):
        return None
    if condition.sign == "=":
        return Hint((_number_of(key, value),), False, len(key) + len(value))
    if condition.sign in (">", ">="):
        return Hint((_number_of(key, _at_least(value)),), False, len(key))
    return None


def _number_of(key: str, digits: str) -> str:
    """Such a number under a key, or one that is written with an exponent."""
    return rf'{quoted(key)}"?\s*[:=]\s*"?(?:\+?0*(?:{digits})|[0-9.+]+[eE])'


def _at_least(value: str) -> str:
    """Numbers with as many digits of which the first is not smaller, and those with more."""
    more = len(value) - 1
    return rf"[{value[0]}-9][0-9]{{{more}}}|[1-9][0-9]{{{more + 1}}}"


def _of_level(level: str) -> Hint | None:
    """Words, numbers of JSON and heads of klog that stand for a level or a more serious one."""
    if not level or LEVELS.index(level) <= LEVELS.index("info"):
        return None  # nearly every line
    wanted = LEVELS[LEVELS.index(level) :]
    heads = "".join(levels.klog_of(wanted))
    # Written so that ripgrep makes of it a set of texts, which it finds ten times faster than a choice of signs.
    patterns = [*_shortest(levels.words_of(wanted)), f'(?:l|L|y|Y)"(?::|: | : )(?:{_numbers(wanted)})']
    if heads:
        patterns.append(f" [FP] [{heads}][0-9]{{4}} [0-9][0-9]:")
    return Hint(tuple(patterns), False, 1)


def _shortest(words: Sequence[str]) -> list[str]:
    """Those that contain no other."""
    return [word for word in words if not any(other != word and other in word for other in words)]


def _numbers(wanted: Sequence[str]) -> str:
    """Those of pino and bunyan, and those of syslog."""
    first = LEVELS.index(wanted[0]) + 1
    severities = [number for number in range(8) if levels.of_number(number) in wanted]
    return f"[{first}-9][0-9]|[{severities[0]}-{severities[-1]}][ ,}}]"
