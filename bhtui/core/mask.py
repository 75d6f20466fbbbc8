"""What must not be shown: values whose names speak of secrets, and credentials within URLs and commands."""

from __future__ import annotations

import re

MASK = "********"
_SECRET = re.compile(r"pass|secret|token|key|credential|auth|dsn", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""([\w.-]*(?:pass|secret|token|key|credential|auth|dsn)[\w.-]*["']?\s*[:=]\s*["']?)([^\s"',;}]+)""",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


def looks_secret(name: str) -> bool:
    """Whether what is called so is taken for a secret."""
    return _SECRET.search(name) is not None


def mask_text(text: str) -> str:
    """The text without `user:password` in its URLs."""
    return _CREDENTIALS.sub(MASK, text)


def mask_words(words: list[str]) -> list[str]:
    """The words of a command without what follows `--password` or `token=`."""
    shown: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        option, equals, _ = word.partition("=")
        if equals and _SECRET.search(option):
            shown.append(f"{option}={MASK}")
        elif before.startswith("-") and "=" not in before and _SECRET.search(before):
            shown.append(MASK)
        else:
            shown.append(word)
    return shown


def mask_line(text: str) -> str:
    """The text without what stands after `"api_token": ` or `password=` anywhere in it."""
    return _ASSIGNED.sub(lambda match: match[1] + MASK, text)
