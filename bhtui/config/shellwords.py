"""What only a shell would understand of a command that is written as text. Pure.

No shell runs a command: its words are handed to the program as they are. Somebody who writes `a | b` means another
thing, and would see it go wrong only when it runs. Where such a word is meant as it stands, it is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ALONE = re.compile(r"\|&?|&|;|\d?<{1,3}|&?\d?>{1,2}|\d?>{1,2}(?:&\d|&-|[\w./-]\S*)|&>{1,2}\S+")
"""A whole word without quotes. `>=1.0` and `<name>` are words that programs are given."""
WITHIN = re.compile(r"\|\||&&|\$\(|`")
"""Anywhere outside of quotes."""
IN_QUOTES = re.compile(r"\$\(|`")
"""Anywhere outside of single quotes."""
SCRIPT = re.compile(r"-\w*c")
"""Behind it stands what a shell is to run."""


@dataclass(slots=True)
class _Word:
    text: str = ""
    """As written, without quotes."""
    bare: str = ""
    """What of it stands outside of quotes; a NUL in the place of what does not."""
    double: str = ""
    """Likewise outside of single quotes."""


def operator(written: str) -> str:
    """The first thing in it that only a shell understands, as `|` or `$(`; empty: there is none."""
    words = list(_words(written))
    for index, word in enumerate(words):
        is_script = any(SCRIPT.fullmatch(before.text) for before in words[:index])
        if ALONE.fullmatch(word.bare):
            return word.text
        if word.bare.endswith(";") and len(word.bare) > 1 and index + 1 < len(words):
            return ";"
        if found := WITHIN.search(word.bare) or (None if is_script else IN_QUOTES.search(word.double)):
            return found[0]
    return ""


def _words(written: str) -> Iterator[_Word]:
    """As a shell splits them; quotes that are not closed are somebody else's to complain of."""
    word: _Word | None = None
    quote = ""
    letters = iter(written)
    for letter in letters:
        if not quote and letter.isspace():
            if word is not None:
                yield word
            word = None
            continue
        word = word or _Word()
        if letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
            word.bare += "\0"
        elif letter == "\\" and quote != "'":
            escaped = next(letters, "")
            word.text += escaped
            word.bare += "\0"
            word.double += "\0"
        else:
            word.text += letter
            word.bare += "\0" if quote else letter
            word.double += "\0" if quote == "'" else letter
    if word is not None:
        yield word
