"""The agent's own log: to standard error, which the keeper captures; below systemd to its journal as well."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from pathlib import Path

from bhtui.core.spec import Spec

JOURNAL = "/dev/log"
TEXT = "%(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line: `level logger message`, and `error` with a traceback. Its time is the keeper's stamp."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def begin() -> None:
    """Before any configuration is known."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    # systemd sets INVOCATION_ID for what it starts; so `journalctl -u blackhole` has what the agent says.
    if "INVOCATION_ID" in os.environ and Path(JOURNAL).is_socket():
        journal = logging.handlers.SysLogHandler(JOURNAL)
        journal.ident = "blackhole: "
        handlers.append(journal)
    logging.basicConfig(level=logging.INFO, format=TEXT, handlers=handlers)


def follow(spec: Spec) -> None:
    """As this configuration wants it: `logging.level` and `logging.format`."""
    root = logging.getLogger()
    root.setLevel(spec.log_level.upper())
    formatter = JsonLines() if spec.log_format == "json" else logging.Formatter(TEXT)
    for handler in root.handlers:
        handler.setFormatter(formatter)
