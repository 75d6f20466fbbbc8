"""The formats of remote write read as their documents have them, and a server that takes requests."""

from __future__ import annotations

import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def unpacked(block: bytes) -> bytes:
    """Section 2 of snappy's format_description.txt, without copies of one or four bytes of offset."""
    size, at = varint(block, 0)
    out = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                width = length - 60
                length = int.from_bytes(block[at : at + width], "little") + 1
                at += width
            out += block[at : at + length]
            at += length
        else:
            assert tag & 3 == 2
            offset = int.from_bytes(block[at : at + 2], "little")
            at += 2
            assert 0 < offset <= len(out)
            for _ in range((tag >> 2) + 1):
                out.append(out[-offset])
    assert len(out) == size
    return bytes(out)


def fields(data: bytes) -> list[tuple[int, Any]]:
    """A message of protobuf."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind, value = key & 7, None
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = struct.unpack("<d", data[at : at + 8])[0], at + 8
        else:
            assert kind == 2
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        found.append((key >> 3, value))
    return found


def series(body: bytes) -> list[tuple[dict[str, str], float, int]]:
    """Labels, value and milliseconds of each sample of a request."""
    made = []
    for number, one in fields(unpacked(body)):
        assert number == 1
        parts = fields(one)
        labels = [tuple(value.decode() for _, value in fields(each)) for number, each in parts if number == 1]
        assert labels == sorted(labels)
        sample = dict(fields(next(each for number, each in parts if number == 2)))
        made.append((dict(labels), sample[1], sample[2]))
    return made


class Server:
    """Takes requests; answers as `answers` has it, then 204."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        made = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, more = made.answers.pop(0) if made.answers else (204, {})
                if status < 300:
                    made.bodies.append(body)
                made.headers.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
                self.send_response(status)
                for key, value in more.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/api/v1/write"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
