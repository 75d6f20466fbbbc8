"""Patterns of what is left out of a backup: the rules of stock restic's `--exclude`.

`*` and `?` match within one name, `[a-z]` and `[^a-z]` one character, `\\` takes the next as it is, and a part that is
`**` any number of folders. A pattern that begins with `/` is matched from the top, another at any depth; a matched
folder is left out with all that is in it. `!pattern` takes back in what an earlier pattern left out, unless its folder
is out.
https://restic.readthedocs.io/en/stable/040_backup.html#excluding-files
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bhtui.core.errors import UsageError
from bhtui.core.patterns import INVALID


def compiled(patterns: Iterable[str]) -> Callable[[bytes], bool] | None:
    """Whether an absolute path is left out; None: nothing is. Raises UsageError."""
    rules = [_rule(pattern.strip()) for pattern in patterns if pattern.strip()]
    if not rules:
        return None
    if not any(takes_back for takes_back, _ in rules):
        search = re.compile(b"|".join(text for _, text in rules), re.DOTALL).search
        return lambda path: search(path) is not None
    matches = [(takes_back, re.compile(text, re.DOTALL).search) for takes_back, text in rules]

    def is_out(path: bytes) -> bool:
        for takes_back, search in reversed(matches):
            if search(path):
                return not takes_back
        return False

    return is_out


def _rule(pattern: str) -> tuple[bool, bytes]:
    takes_back, text = pattern.startswith("!"), pattern.removeprefix("!")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts:
        raise UsageError(f"cannot leave out {pattern!r}: the pattern names nothing; write a name or a path")
    if text.startswith("/") and ".." in parts:
        raise UsageError(f"cannot leave out {pattern!r}: `..` is no part of a path in a backup")
    start = b"^" if text.startswith("/") else b"(?:^|(?<=/)|^.*(?=/))"
    return takes_back, b"(?:" + start + b"".join(_parts(parts, anchored=text.startswith("/"))) + b"$)"


def _parts(parts: list[str], anchored: bool) -> Iterable[bytes]:
    """Every part with the slash before it; the first of a pattern that is not anchored has it as well."""
    for part in parts:
        yield b"(?:/[^/]+)*" if part == "**" else b"/" + _part(part)
    if not anchored and parts == ["**"]:
        yield b"/[^/]+"


def _part(part: str) -> bytes:
    found, at = [], 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            found.append(b"[^/]*")
        elif char == "?":
            found.append(b"[^/]")
        elif char == "[":
            end = _class_end(part, at)
            found.append(_class(part[at:end], part))
            at = end + 1
        elif char == "\\" and at < len(part):
            found.append(re.escape(_bytes(part[at])))
            at += 1
        else:
            found.append(re.escape(_bytes(char)))
    return b"".join(found)


def _class_end(part: str, at: int) -> int:
    end = at
    while end < len(part) and (part[end] != "]" or end == at):
        end += 2 if part[end] == "\\" else 1
    if end >= len(part):
        raise UsageError(f"cannot leave out {part!r}: its `[` is not closed; write `\\[` for the character")
    return end


def _class(inside: str, part: str) -> bytes:
    turned, inside = inside.startswith("^"), inside.removeprefix("^")
    text = ("[^/" if turned else "[") + re.sub(r"([\[&~|^])", r"\\\1", inside) + "]"
    try:
        re.compile(text)
    except INVALID as error:
        raise UsageError(f"cannot leave out {part!r}: {error}") from error
    if not inside.isascii():
        raise UsageError(f"cannot leave out {part!r}: only ASCII may stand in [...]; use `*` or `?`")
    return text.encode()


def _bytes(char: str) -> bytes:
    return char.encode("utf-8", "surrogateescape")
