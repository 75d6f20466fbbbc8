"""How lines leave the console: to the clipboard, to a file."""

from __future__ import annotations

import os
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from ..models.marks import exported
from .logview import LogView

COPY_LIMIT = 75_000
"""Bytes that terminals take by OSC 52."""


class Taking(LogView):
    """Copies and exports what a view shows."""

    def action_copy(self) -> None:
        here = self.cursor
        lines = [entry for entry in self.model.shown if entry in self.marks] or ([here] if here else [])
        text = "\n".join(entry.message for entry in lines)
        data = text.encode()
        if len(b64encode(data)) > COPY_LIMIT:
            self.console_app.say(
                f"cannot copy {len(data):,} bytes: terminals take {COPY_LIMIT:,}; export them with x", "warn"
            )
            return
        self.console_app.copy_to_clipboard(text)
        self.console_app.say(f"copied {len(lines):,} lines" if len(lines) != 1 else "copied the line", "ok")

    def action_export(self) -> None:
        stamp = datetime.fromtimestamp(self.console_app.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        path = Path.cwd() / f"blackhole-logs-{stamp}.txt"
        try:
            with open(path, "w", encoding="utf-8", opener=_private) as file:
                file.writelines(exported(self.model.shown, self.marks))
        except OSError as error:
            self.console_app.say(
                f"cannot write {path}: {error.strerror}; start bhtui in a folder you can write to", "bad"
            )
            return
        self.console_app.say(f"wrote {len(self.model.shown):,} lines to {path.name}", "ok")


def _private(path: str, flags: int) -> int:
    """Log lines are for their owner."""
    return os.open(path, flags, 0o600)
