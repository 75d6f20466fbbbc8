"""Everything into one file, rotated by size and age; a rotated one is `name.log.20260102T030405Z`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model import TAKEN, Outcome, Record, SinkDown
from . import Around
from .text import stamp, text_of

_STAMP = r"\.\d{8}T\d{6}Z(?:-\d+)?"


class FileSink:
    """Whole batches or nothing: what a full disk took half of is cut off again, so no line is ever torn."""

    settle_seconds = 0.0

    def __init__(self, options: Mapping[str, Any], around: Around) -> None:
        self._path = Path(options["path"])
        self.target = str(self._path)
        self._form = self._json if options.get("format") == "json" else self._text
        rotate = options["rotate"]
        self._max_size, self._max_age, self._keep = rotate["max_size"], rotate["max_age"], rotate["max_backups"]
        self._host = around.host
        self._fd = -1
        self._begun = 0.0

    def send(self, records: Sequence[Record]) -> Outcome:
        """Appends; opens the file anew when somebody else has moved it away."""
        data = "".join([self._form(record) for record in records]).encode("utf-8", "backslashreplace")
        try:
            self._open_if_needed()
            self._rotate_if_due(len(data))
            self._append(data)
        except OSError as error:
            self._leave()
            raise SinkDown(f"cannot write {self._path}: {(error.strerror or str(error)).lower()}") from error
        return TAKEN

    def check(self) -> bool:
        """Nothing is ever in doubt."""
        return True

    def flush(self) -> None:
        """On the disk."""
        if self._fd >= 0:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                raise SinkDown(f"cannot write {self._path}: {(error.strerror or str(error)).lower()}") from error

    def close(self) -> bool:
        """All that was written is there."""
        with contextlib.suppress(SinkDown):
            self.flush()
        self._leave()
        return True

    def _text(self, record: Record) -> str:
        when, level = stamp(record.time_ns), record.level or "-"
        return f"{when} {record.instance} {record.stream} {level} {text_of(record.text)}\n"

    def _json(self, record: Record) -> str:
        # The keys of `blackhole logs --output json`, in their order.
        fields = {
            "time": stamp(record.time_ns), "host": self._host, "service": record.service,
            "instance": record.instance, "stream": record.stream, "level": record.level,
            "message": text_of(record.text), "partial": record.partial,
        }  # fmt: skip
        return json.dumps(fields, ensure_ascii=False) + "\n"

    def _open_if_needed(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                    return
            self._leave()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        found = os.fstat(self._fd)
        self._begun = found.st_mtime if found.st_size else time.time()
        if found.st_size and os.pread(self._fd, 1, found.st_size - 1) != b"\n":
            os.write(self._fd, b"\n")  # of a line that an earlier end tore

    def _append(self, data: bytes) -> None:
        size, done = os.fstat(self._fd).st_size, 0
        try:
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, size)
            raise

    def _rotate_if_due(self, more: int) -> None:
        size = os.fstat(self._fd).st_size
        too_old = time.time() - self._begun > self._max_age
        if not size or not (size + more > self._max_size or too_old):
            return
        stamp, number = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), 0
        name = self._path.with_name(f"{self._path.name}.{stamp}")
        while name.exists():
            number += 1
            name = self._path.with_name(f"{self._path.name}.{stamp}-{number:03d}")
        self.flush()
        self._path.rename(name)
        self._leave()
        self._open_if_needed()
        self._prune()

    def _prune(self) -> None:
        pattern = re.compile(re.escape(self._path.name) + _STAMP)
        old = sorted(each.name for each in self._path.parent.iterdir() if pattern.fullmatch(each.name))
        for name in old[: max(0, len(old) - self._keep)]:
            self._path.with_name(name).unlink(missing_ok=True)

    def _leave(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
