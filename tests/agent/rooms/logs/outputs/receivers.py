"""What outputs send to, in the test's own process: each can be stopped and started again at the same address.

They read the protocols as the documents have them, not as our sinks write them, and keep what they were given as text.
"""

from __future__ import annotations

import gzip
import json
import mmap
import os
import re
import select
import socket
import ssl
import struct
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.ports import free_port

_NAME = rb"[!#-<>-\\^-~]{1,32}"
_STRUCTURED = rb'\[%s(?: %s="(?:[^"\\\]]|\\.)*")*\]' % (_NAME, _NAME)
SYSLOG = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) (?P<host>[!-~]{1,255}) "
    rb"(?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<msgid>[!-~]{1,32}) (?P<sd>-|(?:" + _STRUCTURED + rb")+)"
    rb"(?: (?P<msg>.*))?",
    re.DOTALL,
)
"""Section 6 of RFC 5424."""
_PART = re.compile(rb' part="(\d+)/(\d+)"')
BOM = b"\xef\xbb\xbf"


class Receiver:
    """Something that listens in a thread. `texts` are the messages, in the order in which they came."""

    address: Any

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """As a process that is killed: connections end, what was not read is gone."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _listen(self) -> None:
        raise NotImplementedError

    def _serve(self) -> None:
        raise NotImplementedError


class SyslogReceiver(Receiver):
    """Takes messages apart, strictly, and puts parts together."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[re.Match[bytes]] = []
        self._parts: dict[bytes, list[bytes]] = defaultdict(list)

    def take(self, message: bytes) -> None:
        match = SYSLOG.fullmatch(message)
        assert match, message[:200]
        assert int(match["pri"]) <= 191
        self.messages.append(match)
        text = match["msg"] or b""
        if text.startswith(BOM):
            text = text[3:]
            text.decode("utf-8", "strict")
        else:
            assert text.isascii(), "what is not ASCII must say that it is UTF-8"
        if part := _PART.search(match["sd"]):
            parts = self._parts[match["proc"]]
            parts.append(text)
            if int(part[1]) == int(part[2]):
                self.texts.append(b"".join(parts).decode())
                parts.clear()
        else:
            self.texts.append(text.decode())


class StreamReceiver(SyslogReceiver):
    """Octet counting, RFC 6587 3.4.1, over TCP, with TLS (RFC 5425) when it has a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.address: Any = free_port()
        self._context = context
        self.is_held = threading.Event()
        """Set: nothing is read."""

    def _listen(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.address))
        self._server.settimeout(0.05)

    def _serve(self) -> None:
        connections: list[threading.Thread] = []
        with self._server:
            while not self._stopping.is_set():
                try:
                    connection, _ = self._server.accept()
                except TimeoutError:
                    continue
                connections.append(threading.Thread(target=self._read, args=(connection,), daemon=True))
                connections[-1].start()
        for each in connections:
            each.join()

    def _read(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection, server_side=True) if self._context else connection as each:
                each.settimeout(0.05)
                self._read_frames(each)
        except (OSError, ssl.SSLError):
            connection.close()

    def _read_frames(self, connection: socket.socket) -> None:
        data = b""
        while not self._stopping.is_set():
            if self.is_held.is_set():
                self._stopping.wait(0.01)
                continue
            try:
                more = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not more:
                return
            data, at = data + more, 0
            while (space := data.find(b" ", at)) > 0:
                end = space + 1 + int(data[at:space])
                if len(data) < end:
                    break
                self.take(data[space + 1 : end])
                at = end
            data = data[at:]


class UnixStreamReceiver(StreamReceiver):
    """The same framing over a Unix socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.address = folder / "stream.sock"

    def _listen(self) -> None:
        self.address.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self.address))
        self._server.listen()
        self._server.settimeout(0.05)


class UdpReceiver(SyslogReceiver):
    """A message each datagram."""

    def __init__(self) -> None:
        super().__init__()
        self.address = free_port()

    def _listen(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(("127.0.0.1", self.address))

    def _serve(self) -> None:
        with self._socket:
            while not self._stopping.is_set():
                if select.select([self._socket], [], [], 0.05)[0]:
                    self.take(self._socket.recv(1 << 16))


class UnixReceiver(SyslogReceiver):
    """As /dev/log, a datagram socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.address = folder / "log.sock"

    def _listen(self) -> None:
        self.address.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.address))

    def _serve(self) -> None:
        with self._socket:
            while not self._stopping.is_set():
                if select.select([self._socket], [], [], 0.05)[0]:
                    self.take(self._socket.recv(1 << 20))
        self.address.unlink()


class JournalReceiver(UnixReceiver):
    """The journal's native protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.entries: list[dict[str, bytes]] = []
        self.from_memfd = 0

    def _serve(self) -> None:
        with self._socket:
            while not self._stopping.is_set():
                if select.select([self._socket], [], [], 0.05)[0]:
                    data, fds, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
                    self._take_entry(_of_memfd(fds[0]) if fds else data)
                    self.from_memfd += bool(fds)
        self.address.unlink()

    def _take_entry(self, data: bytes) -> None:
        entry = journal_fields(data)
        self.entries.append(entry)
        self.texts.append(entry["MESSAGE"].replace(b"\0", b"\\x00").decode("utf-8", "backslashreplace"))


def _of_memfd(fd: int) -> bytes:
    seals = 0x000F  # all four; journald maps only what nobody can change any more
    import fcntl

    try:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == seals
        with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as data:
            return bytes(data)
    finally:
        os.close(fd)


def journal_fields(data: bytes) -> dict[str, bytes]:
    """The fields of one entry."""
    found: dict[str, bytes] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
        found[name.decode()] = value
        data = rest
    return found


class HttpReceiver(Receiver):
    """Answers POST by `reply(handler, body)`, which may be exchanged while it runs."""

    def __init__(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__()
        self.port, self._host = free_port(), host
        self.address = f"http{'s' if context else ''}://{host}:{self.port}"
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.refuse: Callable[[str, bytes], tuple[int, dict[str, str], bytes] | None] = lambda path, body: None
        """What to answer instead, for a while."""
        self._context = context
        self._lock = threading.Lock()

    def _listen(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 0.5

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver._stopping.is_set():  # a killed server answers nobody
                    self.close_connection = True
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, headers, answer = receiver.answer(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away."""

        self._server = Server((self._host, self.port), Handler)
        if self._context:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)

    def _serve(self) -> None:
        self._server.serve_forever(0.02)

    def stop(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
        super().stop()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            self.requests.append((path, headers, body))
            return self.refuse(path, body) or self.accept(path, body)

    def accept(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError


class ElasticReceiver(HttpReceiver):
    """`_bulk` as Elasticsearch answers it: each item by itself; `item_status` says otherwise than 201."""

    def __init__(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__(context, host)
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.item_status: Callable[[dict[str, Any]], int] = lambda document: 201

    def accept(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        assert path.startswith("/_bulk")
        assert body.endswith(b"\n")
        lines = [json.loads(line) for line in body.splitlines()]
        items = [self._create(*pair) for pair in zip(lines[::2], lines[1::2], strict=True)]
        errors = any(item["create"]["status"] >= 300 for item in items)
        return 200, {}, json.dumps({"took": 1, "errors": errors, "items": items}).encode()

    def _create(self, action: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        ((operation, meta),) = action.items()
        assert operation == "create" and set(meta) == {"_index", "_id"}
        key = meta["_index"], meta["_id"]
        status = 409 if key in self.documents else self.item_status(document)
        if status == 201:
            self.documents[key] = document
            self.texts.append(document["message"])
            return {"create": {**meta, "status": 201}}
        return {"create": {**meta, "status": status, "error": {"type": "some_exception", "reason": "as the test says"}}}


class LokiReceiver(HttpReceiver):
    """`/loki/api/v1/push` as Loki takes it: per stream in order, equal time and text once."""

    def __init__(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__(context, host)
        self.streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = defaultdict(list)

    def accept(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        assert path == "/loki/api/v1/push"
        said = json.loads(body)
        assert set(said) == {"streams"}
        for stream in said["streams"]:
            assert set(stream) == {"stream", "values"}
            assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in stream["stream"])
            entries = self.streams[tuple(sorted(stream["stream"].items()))]
            for moment, text in stream["values"]:
                assert isinstance(moment, str) and isinstance(text, str)
                if (int(moment), text) not in entries[-20_000:]:
                    entries.append((int(moment), text))
                    self.texts.append(text)
        return 204, {}, b""
