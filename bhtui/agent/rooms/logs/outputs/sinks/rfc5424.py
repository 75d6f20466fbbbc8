"""A line as one or more syslog messages: RFC 5424, pure.

The byte order mark stands before what is UTF-8 and not plain ASCII: section 6.4 says that UTF-8 MUST begin with it, and
plain ASCII is MSG-ANY with or without it. A message longer than the receiver takes is sent in parts, cut between
characters, each with `part="2/3"` beside it: nothing is cut off.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ..model import Record
from .text import stamp, text_of

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""By their numbers, section 6.2.1."""
SEVERITIES = {"fatal": 2, "error": 3, "warning": 4, "info": 6, "debug": 7, "trace": 7}
NO_LEVEL = 6
BOM = b"\xef\xbb\xbf"
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]+")


class Format:
    """Makes messages of at most `max_message` bytes."""

    def __init__(self, options: Mapping[str, Any], host: str) -> None:
        self._base = FACILITIES.index(options["facility"]) * 8
        self._host = name(options.get("hostname") or host, 255)
        self._app = options.get("app_name") or ""
        self._sd_id = options["sd_id"]
        self._data = "".join(f' {name(key, 32)}="{escaped(value)}"' for key, value in options["data"].items())
        self._max, self._bom = int(options["max_message"]), bool(options["bom"])
        self._moment = (-1, b"")
        self._head = functools.lru_cache(maxsize=4096)(self._make_head)

    def messages(self, record: Record) -> list[bytes]:
        """At least one; none is longer than the maximum."""
        before, data = self._head(record.service, record.instance, record.stream, record.level)
        text = record.text
        if text.isascii() and b"\0" not in text:
            body, mark = text, b""
        else:
            body = text_of(text).encode()
            mark = BOM if self._bom and not body.isascii() else b""
        at, when = self._moment
        if at != record.time_ns:  # lines that were read together have one time
            when = stamp(record.time_ns, 6).encode()
            self._moment = (record.time_ns, when)
        if len(before) + len(when) + len(data) + 2 + len(mark) + len(body) <= self._max:
            return [b"%s%s%s] %s%s" % (before, when, data, mark, body)]
        return self._split(before + when + data, mark, body)

    def _split(self, head: bytes, mark: bytes, body: bytes) -> list[bytes]:
        room = max(16, self._max - len(head) - len(mark) - len(b' part="99999/99999"] '))
        parts = []
        while body:
            cut = room
            while cut < len(body) and body[cut] & 0xC0 == 0x80:
                cut -= 1  # within a character
            parts.append(body[:cut])
            body = body[cut:]
        return [
            b'%s part="%d/%d"] %s%s' % (head, number, len(parts), mark, part) for number, part in enumerate(parts, 1)
        ]

    def _make_head(self, service: str, instance: str, stream: str, level: str) -> tuple[bytes, bytes]:
        """What stands before the time; HOSTNAME APP-NAME PROCID MSGID and structured data without its end after it."""
        pri = self._base + SEVERITIES.get(level, NO_LEVEL)
        head = f"{self._host} {name(self._app or service, 48)} {name(instance, 128)} {stream}"
        said = f' level="{level}"' if level else ""
        data = f'[{self._sd_id} service="{escaped(service)}" instance="{escaped(instance)}"{said}{self._data}'
        return f"<{pri}>1 ".encode(), f" {head} {data}".encode()


def name(text: str, longest: int) -> str:
    """A header field: printable ASCII without spaces; `-` for nothing."""
    return _UNPRINTABLE.sub("_", text)[:longest] or "-"


def escaped(value: str) -> str:
    """A value of structured data."""
    return re.sub(r'(["\\\]])', r"\\\1", value.replace("\n", " "))
