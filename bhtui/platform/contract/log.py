"""Logs as JSON lines on standard output, in the keys zap has: `{"level": ..., "ts": ..., "msg": ..., ...}`."""

from __future__ import annotations

import json
import sys
import time
from typing import TextIO

LEVELS = ("debug", "info", "warn", "error")


class Log:
    """Writes a line for each call, at once: what a crash leaves behind is complete. `fields` are in every line."""

    def __init__(self, stream: TextIO | None = None, level: str = "info", **fields: object) -> None:
        self.stream = stream or sys.stdout
        self.fields = fields
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Leaves out what is less than this. Raises ValueError for a level that is none."""
        self.lowest = LEVELS.index(level)

    def debug(self, message: str, **fields: object) -> None:
        self.write("debug", message, fields)

    def info(self, message: str, **fields: object) -> None:
        self.write("info", message, fields)

    def warn(self, message: str, **fields: object) -> None:
        self.write("warn", message, fields)

    def error(self, message: str, **fields: object) -> None:
        self.write("error", message, fields)

    def write(self, level: str, message: str, fields: dict[str, object]) -> None:
        """One line. A reader that has gone away does not end the service."""
        if LEVELS.index(level) < self.lowest:
            return
        line = {"level": level, "ts": round(time.time(), 6), "msg": message, **self.fields, **fields}
        try:
            self.stream.write(json.dumps(line, default=str) + "\n")
            self.stream.flush()
        except BrokenPipeError:
            self.lowest = len(LEVELS)
