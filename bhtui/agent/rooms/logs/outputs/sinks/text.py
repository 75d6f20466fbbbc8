"""Bytes of a service as text that any receiver can take."""

from __future__ import annotations


def text_of(data: bytes) -> str:
    """UTF-8; what is not is written as \\xNN, as `blackhole logs` shows it, and a zero byte as \\x00."""
    text = data.decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00") if "\0" in text else text
