"""One suite for every sink: what model.Sink promises, against something that reads the protocol."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from bhtui.agent.rooms.logs.outputs.model import TAKEN, Sink, SinkDown
from bhtui.agent.rooms.logs.outputs.sinks import KINDS, Around, syslog
from tests.waiting import until

from .lines import AWKWARD, record, shown
from .receivers import (
    ElasticReceiver,
    JournalReceiver,
    LokiReceiver,
    Receiver,
    StreamReceiver,
    UdpReceiver,
    UnixReceiver,
    UnixStreamReceiver,
)

AROUND = Around("web-1", "1.0")
SYSLOG = {
    "facility": "local0",
    "protocol": "udp",
    "sd_id": "blackhole@32473",
    "data": {},
    "max_message": 8192,
    "bom": True,
}
ROTATE = {"max_size": 100 << 20, "max_age": 1e9, "max_backups": 10}


class FileReceiver(Receiver):
    """A folder that is there or not; the sink's file as a receiver."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder / "out"
        self.address = self.folder / "all.log"

    def start(self) -> None:
        if self.folder.is_file():
            self.folder.unlink()

    def stop(self) -> None:
        if self.folder.is_dir():
            self.folder.rename(self.folder.with_name(f"old-{time.monotonic_ns()}"))
        self.folder.touch()

    @property  # type: ignore[misc]
    def texts(self) -> list[str]:
        files = [*self.folder.parent.glob("old-*/all.log"), self.address]
        return [json.loads(line)["message"] for file in files if file.exists() for line in file.open()]

    @texts.setter
    def texts(self, value: list[str]) -> None:
        """Nothing is kept here."""


Case = tuple[Receiver, Callable[[], Sink]]


def authority(folder: Path) -> tuple[ssl.SSLContext, dict[str, Any]]:
    """A server's context, and what a client needs to trust it."""
    made = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    made.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context, {"ca_file": str(folder / "ca.pem"), "verify": True}


def build(kind: str, folder: Path) -> Case:
    context, trust = authority(folder)
    made: dict[str, Callable[[], tuple[Receiver, str, Callable[[Any], dict[str, Any]]]]] = {
        "file": lambda: (
            FileReceiver(folder), "file", lambda at: {"path": str(at), "format": "json", "rotate": ROTATE},
        ),
        "udp": lambda: (UdpReceiver(), "syslog", lambda at: {**SYSLOG, "address": f"127.0.0.1:{at}"}),
        "tcp": lambda: (
            StreamReceiver(), "syslog", lambda at: {**SYSLOG, "address": f"127.0.0.1:{at}", "protocol": "tcp"},
        ),
        "tls": lambda: (
            StreamReceiver(context), "syslog",
            lambda at: {**SYSLOG, "address": f"127.0.0.1:{at}", "protocol": "tls", "tls": trust},
        ),
        "unix": lambda: (UnixReceiver(folder), "syslog", lambda at: {**SYSLOG, "address": f"unix:{at}"}),
        "unix-stream": lambda: (UnixStreamReceiver(folder), "syslog", lambda at: {**SYSLOG, "address": f"unix:{at}"}),
        "journald": lambda: (JournalReceiver(folder), "journald", lambda at: {"path": str(at)}),
        "elasticsearch": lambda: (
            ElasticReceiver(), "elasticsearch", lambda at: {"addresses": [at], "index": "logs-%Y.%m.%d"},
        ),
        "elasticsearch-tls": lambda: (
            ElasticReceiver(context), "elasticsearch", lambda at: {"addresses": [at], "index": "logs", "tls": trust},
        ),
        "loki": lambda: (LokiReceiver(), "loki", lambda at: {"address": at, "tenant": "", "labels": {}}),
    }  # fmt: skip
    receiver, name, options = made[kind]()
    return receiver, lambda: KINDS[name](options(receiver.address), AROUND)


ALL = ("file", "udp", "tcp", "tls", "unix", "unix-stream", "journald", "elasticsearch", "elasticsearch-tls", "loki")


@pytest.fixture(params=ALL)
def case(request, tmp_path_factory):
    receiver, make = build(request.param, tmp_path_factory.mktemp("s"))
    yield receiver, make
    receiver.stop()


def arrived(receiver: Receiver, texts: list[str]) -> None:
    until(lambda: len(receiver.texts) >= len(texts), what=f"{len(texts)} lines, there are {len(receiver.texts)}")
    assert receiver.texts == texts


def test_lines_arrive_in_order_as_they_are(case):
    receiver, make = case
    receiver.start()
    sink = make()
    assert sink.target
    records = [record(number, text) for number, text in enumerate(AWKWARD)]
    assert sink.send(records) == TAKEN
    arrived(receiver, [shown(text) for text in AWKWARD])
    sink.check()
    sink.flush()
    assert sink.close() is True


def test_empty_long_and_many_lines_arrive(case):
    receiver, make = case
    receiver.start()
    sink = make()
    long = b"".join(b"%07d " % number for number in range(40_000))  # more than a datagram, and 8 KB, by far
    texts = ["", long.decode(), "ä" * 20_000, *(f"line {number}" for number in range(1500))]
    sink.send([record(number)._replace(text=text.encode()) for number, text in enumerate(texts)])
    arrived(receiver, texts)
    assert sink.close() is True


def test_equal_lines_of_one_moment_all_arrive(case):
    receiver, make = case
    receiver.start()
    sink = make()
    sink.send([record(number, "the same") for number in range(5)])
    arrived(receiver, ["the same"] * 5)
    sink.close()


def test_one_that_is_not_there_is_down_and_comes_back(case):
    receiver, make = case
    receiver.stop()
    sink = make()
    with pytest.raises(SinkDown) as error:
        for number in range(5):  # UDP learns it only from the answer to the datagram before
            sink.send([record(number)])
            time.sleep(0.05)
    assert "cannot" in str(error.value)
    receiver.start()
    sink.send([record(9)])
    arrived(receiver, ["n 9"])
    sink.close()


def test_one_that_goes_away_is_noticed(case):
    """By the next sending, or by looking before what was sent counts as received."""
    receiver, make = case
    receiver.start()
    sink = make()
    sink.send([record(1)])
    arrived(receiver, ["n 1"])
    receiver.stop()

    def is_down() -> bool:
        try:
            sink.send([record(2)])
            sink.check()
        except SinkDown:
            return True
        return False

    until(is_down, what="the sink says that it is down")
    receiver.start()
    until(lambda: not is_down(), what="the sink is well again")
    until(lambda: "n 2" in receiver.texts)
    sink.close()


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix", "unix-stream", "journald"])
def test_one_that_goes_away_is_noticed_without_sending(kind, tmp_path):
    receiver, make = build(kind, tmp_path)
    receiver.start()
    sink = make()
    sink.send([record(1)])
    arrived(receiver, ["n 1"])
    until(sink.check)
    receiver.stop()

    def is_down() -> bool:
        try:
            sink.check()
        except SinkDown:
            return True
        return False

    until(is_down)
    assert sink.close() is False


def test_an_idle_sink_may_be_closed_and_nothing_happened(case):
    receiver, make = case
    receiver.start()
    make().close()
    assert receiver.texts == []


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_what_a_stuck_receiver_has_not_acknowledged_has_not_settled(kind, tmp_path, monkeypatch):
    """It reads nothing for a while: nothing is lost and nothing is sent twice, however long that lasts."""
    monkeypatch.setattr(syslog, "SETTLE_SECONDS", 0.0)
    receiver, make = build(kind, tmp_path)
    receiver.start()
    sink = make()
    sink.send([record(1)])
    until(sink.check)
    receiver.is_held.set()
    sent = [record(number, b"x" * 4000) for number in range(3000)]  # more than the buffers of both kernels

    def send() -> None:
        for at in range(0, len(sent), 20):
            sink.send(sent[at : at + 20])

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: not sink.check())
    receiver.is_held.clear()
    sender.join()
    until(sink.check)
    arrived(receiver, ["n 1", *("x" * 4000 for _ in sent)])
    sink.close()
    receiver.stop()
