"""What the other side will never take, kept for a person: a JSON object a line, in bounded space."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bhtui.core.units import format_time

from .model import Record

MAX_BYTES = 16 << 20
"""Of one file; the one before it is kept beside it as `.old`."""


class DeadLetters:
    """`<name>.rejected.jsonl`, made when the first line is put there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.rejected.jsonl"

    def put(self, record: Record, why: str, now_ns: int) -> None:
        """Appends one line. Raises OSError."""
        fields = {
            "rejected": format_time(now_ns), "why": why[:500], "time": format_time(record.time_ns),
            "service": record.service, "instance": record.instance, "stream": record.stream, "level": record.level,
            "message": record.text.decode("utf-8", "backslashreplace"), "place": record.place,
        }  # fmt: skip
        data = (json.dumps(fields, ensure_ascii=False) + "\n").encode()
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and size + len(data) > MAX_BYTES:
                self.path.replace(self.path.with_suffix(".jsonl.old"))
                os.close(fd)
                fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                size = 0
            try:
                _write(fd, data)
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)


def _write(fd: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.write(fd, data[done:])
