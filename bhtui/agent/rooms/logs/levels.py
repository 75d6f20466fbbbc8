"""Recognises the level of a line from its bytes.

Known forms: JSON (zap, logrus, slog, structlog, pino and bunyan numbers, syslog numbers), logfmt, klog, and words as
people write them: `ERROR`, `[warn]`, `<info>`, `error: ...`. The first form that says something wins.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from bhtui.core.logs import LEVELS

_WORDS = {
    "trace": "trace trc verbose finest",
    "debug": "debug dbg debu fine",
    "info": "info inf information informational notice log",
    "warning": "warning warn wrn",
    "error": "error err eror severe",
    "fatal": "fatal ftl critical crit panic dpanic emerg emergency alert",
}
_BY_WORD = {
    case(word).encode(): level
    for level, words in _WORDS.items()
    for word in words.split()
    for case in (str.lower, str.upper, str.title)
}
_KLOG = {b"I": "info", b"W": "warning", b"E": "error", b"F": "fatal"}
_SYSLOG = ("fatal", "fatal", "fatal", "error", "warning", "info", "info", "debug")
_RANK = {level: rank for rank, level in enumerate(LEVELS)}

_LOOK_AT = 4096
_HEAD = 160
"""Plain words count only near the start of a line; further on they are part of what it tells."""

# Numbers stand as JSON writes them, under the keys that have them; where a search engine looks for them, it looks for
# `l"` and `y"` before.
_JSON = re.compile(
    rb'"(?:level|severity|lvl|levelname|log\.level|loglevel|@level)"(?::|: | : )"(\w+)"'
    rb'|"(?:level|severity|lvl|log\.level|loglevel|@level)"(?::|: | : )(\d{1,2})[ ,}]',
    re.IGNORECASE,
)
_LOGFMT = re.compile(rb'(?:^|[ \t,{])(?:level|lvl|severity)="?(\w+)', re.IGNORECASE)
_KLOG_HEAD = re.compile(rb"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d")
# `LOG` stands alone only as PostgreSQL writes it, before a colon.
_PLAIN = re.compile(
    rb"[\[<(|]\s*(trace|debug|info|information|notice|warning|warn|error|err|fatal|critical|crit|panic|emerg|alert)\s*[\]>)|]"
    rb"|^(trace|debug|info|notice|warning|warn|error|fatal|critical|panic)\b\s*[:\]-]"
    rb"|(?-i:(?<![\w.-])"
    rb"(TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|SEVERE|FATAL|CRITICAL|PANIC|EMERG|ALERT|TRC|DBG|INF|WRN|ERR|FTL|LOG(?=:)"
    rb"|Warning(?=:)|Error(?=:))(?![\w.-]*=)\b)",
    re.IGNORECASE,
)


def rank(level: str) -> int:
    """The place of a level in LEVELS; -1 for none."""
    return _RANK.get(level, -1)


def words_of(wanted: Collection[str]) -> list[str]:
    """The words that stand for these levels, as they are written."""
    return [word.decode() for word, level in _BY_WORD.items() if level in wanted]


def klog_of(wanted: Collection[str]) -> list[str]:
    """The letters with which klog writes these levels."""
    return [head.decode() for head, level in _KLOG.items() if level in wanted]


def detect(text: bytes, *, captured: bool = True) -> str:
    """One of LEVELS, or empty. The head of klog counts only in what was captured, behind the head of the CRI format."""
    head = text[:_LOOK_AT]
    if head[:1] == b"{":
        return _of_json(head)
    if captured and (match := _KLOG_HEAD.match(head)) is not None:
        return _KLOG[match[1]]
    if (b"=" in head) and (match := _LOGFMT.search(head)) is not None and (level := _of_word(match[1])):
        return level
    match = _PLAIN.search(head[:_HEAD])
    return _of_word(match[match.lastindex or 0]) if match is not None else ""


def _of_json(head: bytes) -> str:
    match = _JSON.search(head)
    if match is None:
        return ""
    return _of_word(match[1]) if match[1] is not None else of_number(int(match[2]))


def _of_word(word: bytes) -> str:
    return _BY_WORD.get(word, "")


def of_number(number: int) -> str:
    """pino and bunyan count 10 (trace) to 60 (fatal); less is syslog's severity, 0 (emergency) to 7 (debug)."""
    if number < 10:
        return _SYSLOG[number] if number < len(_SYSLOG) else ""
    return LEVELS[min(number // 10, len(LEVELS)) - 1]
