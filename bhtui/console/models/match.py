"""The filter language of every `/`: words that must all be found, `!word` that must not; each a regular expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r'(!?)"([^"]*)"|(!?)(\S+)')


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed filter. An empty one matches everything."""

    text: str = ""
    wanted: tuple[re.Pattern[str], ...] = ()
    unwanted: tuple[re.Pattern[str], ...] = ()

    def matches(self, text: str) -> bool:
        return all(one.search(text) for one in self.wanted) and not any(one.search(text) for one in self.unwanted)

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


@lru_cache(maxsize=64)
def parse(text: str) -> Query:
    """The query in a text: `time.?out !health "two words"`. Lower case finds either case; what is no valid expression
    is searched as it stands, so that half-typed filters never fail."""
    wanted: list[re.Pattern[str]] = []
    unwanted: list[re.Pattern[str]] = []
    for match in _WORD.finditer(text):
        word = match[2] if match[2] is not None else match[4]
        inverse = bool(match[1] or match[3])
        if not word or word == "!":
            continue
        (unwanted if inverse else wanted).append(_pattern(word))
    return Query(text.strip(), tuple(wanted), tuple(unwanted))


def _pattern(word: str) -> re.Pattern[str]:
    flags = re.IGNORECASE if word == word.lower() else re.NOFLAG
    try:
        return re.compile(word, flags)
    except re.error:
        return re.compile(re.escape(word), flags)
