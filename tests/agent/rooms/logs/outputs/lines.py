"""Records as outputs are given them."""

from __future__ import annotations

from bhtui.agent.rooms.logs.outputs.model import Record

START = 1_767_323_045_000_000_000


def record(number: int = 1, text: str | bytes = "", **more: object) -> Record:
    body = text.encode() if isinstance(text, str) else text
    values: dict[str, object] = {
        "service": "api", "instance": "api-1", "stream": "stdout", "level": "", "text": body or b"n %d" % number,
        "time_ns": START, "order_ns": START + number, "file": "2026-01-02T03:04:05.000000000Z", "offset": number * 10,
    }  # fmt: skip
    return Record(**{**values, **more})  # type: ignore[arg-type]


AWKWARD = (
    b"plain",
    "grüße, 日本, 🦊".encode(),
    b'quotes " and \\ and ] and [x y="z"]',
    b"bytes \xff\xfe\x80 that are no text",
    b"a zero \x00 byte, a bell \x07, a tab \t and \x1b[31mcolour\x1b[0m",
    b"<13>1 looks like a message itself",
    b"7 looks like a frame",
    b" begins and ends with a space ",
    b'{"level":"error","message":"json"}',
    b"carriage\rreturn",
    "\u2028 and \ufeff".encode(),
)


def shown(text: bytes) -> str:
    """As every receiver is given it: bytes that are no text, and zero bytes, are escaped."""
    return text.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
