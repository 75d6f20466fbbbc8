"""A session as a file: one JSON object a line, `{"t": Unix seconds, "h": host, "k": kind, "b": body}`; gzip for `.gz`.

The first line is `{"blackhole": 1, "t": ..., "h": "", "k": "start", "b": {}}`. Bodies are messages of the API in
protobuf's JSON form, with their field names as in the .proto files.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from bhtui.core.errors import UsageError
from bhtui.rpc.blackhole.v1 import logs_pb2

from .message import MESSAGES, Body, HostInfo, LinkSeen, LogsSeen, Seen, Trouble

VERSION = 1
_PLAIN: dict[str, type[HostInfo | LinkSeen | Trouble]] = {"host": HostInfo, "link": LinkSeen, "trouble": Trouble}
_KINDS = {kind: name for name, kind in {**MESSAGES, **_PLAIN}.items()}


def encode(seen: Seen) -> dict[str, Any]:
    """A message as JSON values."""
    if isinstance(seen.body, LogsSeen):
        body = {"stream": seen.body.stream, "batch": _dict(seen.body.batch)}
        return {"t": seen.time, "h": seen.host, "k": "logs", "b": body}
    kind = _KINDS[type(seen.body)]
    body = _dict(seen.body) if isinstance(seen.body, Message) else asdict(seen.body)
    return {"t": seen.time, "h": seen.host, "k": kind, "b": body}


def decode(value: dict[str, Any]) -> Seen | None:
    """The message in JSON values; None for a kind that this version does not know. Raises ValueError, KeyError."""
    body = _body(value["k"], value["b"])
    return None if body is None else Seen(float(value["t"]), str(value["h"]), body)


def _body(kind: str, value: dict[str, Any]) -> Body | None:
    if kind == "logs":
        return LogsSeen(value["stream"], ParseDict(value["batch"], logs_pb2.LogBatch(), ignore_unknown_fields=True))
    if kind in _PLAIN:
        return _PLAIN[kind](**value)
    if kind in MESSAGES:
        return ParseDict(value, MESSAGES[kind](), ignore_unknown_fields=True)
    return None


def _dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "wt", encoding="utf-8")
    return path.open("w", encoding="utf-8")


class Recorder:
    """Writes what is seen to a file; what was written is on the disk within a second of the session."""

    def __init__(self, path: Path, now: float, hosts: tuple[HostInfo, ...]) -> None:
        """Raises UsageError when the file cannot be written."""
        try:
            # A recording holds log lines: it is for its owner.
            self._file = _opened(path)
            path.chmod(0o600)
        except OSError as error:
            raise UsageError(f"cannot record to {path}: {error.strerror}; give a file that you can write") from error
        self._flushed = now
        self._put({"blackhole": VERSION, "t": now, "h": "", "k": "start", "b": {}})
        for info in hosts:
            self(Seen(now, info.name, info))

    def __call__(self, seen: Seen) -> None:
        self._put(encode(seen))
        if seen.time - self._flushed > 1.0:
            self._flushed = seen.time
            self._file.flush()

    def _put(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Seen]:
    """The messages of a recording, as far as it is whole: the last line of a session that was cut off may be half.

    Raises UsageError for a file that is no recording.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
            if not isinstance(first, dict) or first.get("blackhole") != VERSION:
                raise UsageError(f"cannot replay {path}: it is no recording of this version of bhtui")
            for line in file:
                seen = _line(line)
                if seen is not None:
                    yield seen
    except EOFError:
        return
    except OSError as error:
        raise UsageError(f"cannot replay {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"cannot replay {path}: it is no recording; `bhtui --record FILE` makes one") from error


def _line(line: str) -> Seen | None:
    try:
        return decode(json.loads(line))
    except (ValueError, KeyError, TypeError, ParseError):
        return None
