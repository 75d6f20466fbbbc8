"""Recognises the level of a line from its bytes.

Known forms: JSON (zap, logrus, slog, structlog, pino and bunyan numbers, syslog numbers), logfmt, klog, and words as
people write them, coloured or not: `ERROR`, `[warn]`, `<info>`, `error: ...`. The first form that says something wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

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
_SHORT, _LONG = 24, 96
_NO_DIGITS = bytes(ord("0") if 48 <= byte < 58 else byte for byte in range(256))
_MOST_KNOWN = 1000
_HEAD = 160
"""Plain words count only near the start of a line; further on they are part of what it tells."""

# Numbers stand as JSON writes them, under the keys that have them; where a search engine looks for them, it looks for
# `l"` and `y"` before.
_JSON = re.compile(
    rb'"(?:level|severity|lvl|levelname|level_name|log\.level|loglevel|@level|@l)"(?::|: | : )"(\w+)(?:[+-]\d+)?"'
    rb'|"(?:level|severity|lvl|log\.level|loglevel|@level)"(?::|: | : )(\d{1,2})[ ,}]',
    re.IGNORECASE,
)
_LOGFMT = re.compile(rb'(?:^|[ \t,{])(?:level|lvl|severity)="?(\w+)', re.IGNORECASE)
_KLOG_HEAD = re.compile(rb"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d")
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
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
    if b"\x1b" in head:
        head = _COLOURS.sub(b"", head)
    match = _PLAIN.search(head[:_HEAD])
    return _of_word(match[match.lastindex or 0]) if match is not None else ""


class Detector:
    """As `detect` for what was captured, several times faster: most lines begin as one before them did.

    What decides the level of such a line stands in its first bytes. Digits in them are mostly those of a time, so
    lines that differ in nothing else are the same to it, unless a number is the level.
    """

    def __init__(self) -> None:
        self._short: dict[bytes, str] = {}
        self._long: dict[bytes, str] = {}
        self._numbered: dict[bytes, str] = {}
        self._worded: dict[bytes, str] = {}

    def reader(self, block: bytes) -> Callable[[bytes, int], str]:
        """`of`, or what is faster for the lines of a block in which no level can be but a word near the start."""
        lowered = block.lower()
        has_keys = b"level" in lowered or b"lvl" in lowered or b"severity" in lowered
        return self.of if has_keys or b"\x1b" in block else self._of_words

    def _of_words(self, line: bytes, at: int) -> str:
        head = line[at : at + _SHORT].translate(_NO_DIGITS)
        level = self._worded.get(head)
        if level is None:
            level = detect(line[at:])
            if len(self._worded) < _MOST_KNOWN and _is_worded(line[at : at + _SHORT]):
                self._worded[head] = level
        return level

    def of(self, line: bytes, at: int = 0) -> str:
        """One of LEVELS, or empty, for the text that begins there."""
        head = line[at : at + _SHORT]
        level = self._short.get(head.translate(_NO_DIGITS))
        if level is None:
            level = self._numbered.get(head)
            if level is None:
                level = self._long.get(line[at : at + _LONG].translate(_NO_DIGITS))
                return self._learn(line[at:]) if level is None else level
        return level

    def _learn(self, text: bytes) -> str:
        level = detect(text)
        for head, known in ((text[:_SHORT], self._short), (text[:_LONG], self._long)):
            if len(known) < _MOST_KNOWN and _is_decided(head, by_number=False):
                known[head.translate(_NO_DIGITS)] = level
                return level
        if len(self._numbered) < _MOST_KNOWN and _is_decided(text[:_SHORT], by_number=True):
            self._numbered[text[:_SHORT]] = level
        return level


def _is_worded(head: bytes) -> bool:
    """Whether the word that says the level stands in the head, and ends there."""
    if head[:1] == b"{" or _KLOG_HEAD.match(head) is not None:
        return head[:1] != b"{"
    match = _PLAIN.search(head)
    return match is not None and re.match(rb"[^\w.=:-]", head[match.end() :]) is not None


def _is_decided(head: bytes, *, by_number: bool) -> bool:
    """Whether nothing that comes after the head can change the level."""
    if head[:1] == b"{":
        match = _JSON.search(head)
        return match is not None and (match[1] is None) == by_number
    if by_number or _KLOG_HEAD.match(head) is not None:
        return not by_number
    match = _LOGFMT.search(head) if b"=" in head else None
    return match is not None and match.end() < len(head) and bool(_of_word(match[1]))


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
