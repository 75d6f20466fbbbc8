"""Sending a captured file of JSON lines to a syslog server by TCP: the forwarder of log outputs against rsyslog.

Both read the same CRI file from its start and send each line as RFC 5424 with octet counting to a receiver that only
reads. rsyslog (imfile, omfwd) sends the CRI line as it is; the forwarder takes it apart, finds the level, and makes
structured data of it. Figures: lines a second until the last line has arrived, processor seconds for a GB of the file,
memory. Last: what the forwarder costs at rest with 200 instances. The size in MB is the only argument.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from _common import medians_in_turn, program, pss_kb, report, workplace
from logs import write_log

SIZE = (int(sys.argv[1]) if len(sys.argv) > 1 else 200) << 20
RUNS = 3
DEADLINE = 300.0
LAST = b"this is the last line"
MODULE = "bhtui.agent.rooms.logs.outputs.forwarder"
RSYSLOG = """
global(workDirectory="{folder}")
main_queue(queue.size="200000" queue.dequeueBatchSize="2000")
module(load="imfile")
input(type="imfile" file="{log}" tag="api" freshStartTail="off" readMode="0")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" tcp_framing="octet-counted"
  template="RSYSLOG_SyslogProtocol23Format")
"""


class Receiver:
    """Reads whatever comes, and knows when the last line has."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.is_done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        tail = b""
        with connection:
            while data := connection.recv(1 << 20):
                if LAST in tail + data:
                    self.is_done.set()
                tail = data[-len(LAST) :]

    def close(self) -> None:
        self._server.close()


def cpu_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


Started = Callable[[Path, Path, int], "contextlib.AbstractContextManager[int]"]


def measure(start: Started, log: Path, lines: int) -> list[float]:
    """Lines a second, processor seconds a GB, MB of memory at the end."""
    with workplace() as folder:
        receiver = Receiver()
        began = time.perf_counter()
        with start(folder, log, receiver.port) as pid:
            if not receiver.is_done.wait(DEADLINE):
                sys.exit(f"{start.__name__} did not come to the end")
            took, used, memory = time.perf_counter() - began, cpu_seconds(pid), pss_kb([pid])
        receiver.close()
    return [lines / took, used / log.stat().st_size * 1e9, memory / 1024]


def order(folder: Path, logs: Path, outputs: list[dict[str, object]]) -> bytes:
    said = {"logs": str(logs), "state": str(folder), "begun_ns": 0, "host": "h", "version": "1", "log_level": "info"}
    return json.dumps({**said, "outputs": outputs}).encode() + b"\n"


@contextmanager
def forwarder(folder: Path, log: Path, port: int) -> Iterator[int]:
    options = {
        "address": f"127.0.0.1:{port}", "protocol": "tcp", "facility": "user", "sd_id": "blackhole@32473", "data": {},
        "max_message": 8192, "bom": True,
    }  # fmt: skip
    output = {"name": "tcp", "type": "syslog", "options": options, "backlog": True}
    with running(order(folder, log.parent.parent, [output])) as pid:
        yield pid


@contextmanager
def running(said: bytes) -> Iterator[int]:
    """A forwarder with this order."""
    process = subprocess.Popen([sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(said)
    process.stdin.flush()
    try:
        yield process.pid
    finally:
        process.stdin.close()
        process.wait(10)


@contextmanager
def rsyslog(folder: Path, log: Path, port: int) -> Iterator[int]:
    conf = folder / "conf"
    conf.write_text(RSYSLOG.format(folder=folder, log=log, port=port))
    process = subprocess.Popen(["rsyslogd", "-n", "-f", str(conf), "-i", str(folder / "pid")])
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def at_rest(seconds: float = 10.0) -> None:
    """200 instances that say nothing, three outputs."""
    with workplace() as folder:
        for number in range(200):
            path = folder / "logs" / f"s{number}" / f"s{number}-1.log"
            path.parent.mkdir(parents=True)
            path.touch()
        rotate = {"max_size": 1 << 30, "max_age": 1e9, "max_backups": 1}
        outputs: list[dict[str, object]] = [
            {"name": f"o{number}", "type": "file", "options": {"path": str(folder / f"o{number}"), "rotate": rotate}}
            for number in range(3)
        ]
        with running(order(folder, folder / "logs", outputs)) as pid:
            time.sleep(2)
            before = cpu_seconds(pid)
            time.sleep(seconds)
            share = (cpu_seconds(pid) - before) / seconds
            print(f"at rest, 200 instances, three outputs: {share:.1%} of a core, {pss_kb([pid]) / 1024:.0f} MB")


def main() -> None:
    with workplace() as root:
        log = root / "logs" / "api" / "api-1.log"
        log.parent.parent.mkdir()
        lines = write_log(log, SIZE)
        with log.open("ab") as file:
            file.write(b"2027-01-01T00:00:00.000000000Z stdout F " + LAST + b"\n")
        peers: dict[str, Started] = {"blackhole": forwarder}
        if program("rsyslogd", "apt-get install rsyslog"):
            peers["rsyslog"] = rsyslog
        found = medians_in_turn(
            {name: lambda start=start: measure(start, log, lines) for name, start in peers.items()}, RUNS
        )
        ours, theirs = found["blackhole"], found.get("rsyslog", found["blackhole"])
        report("to syslog by TCP", "lines/s", ours[0], "rsyslog", theirs[0], more_is_better=True)
        report("processor for a GB", "s", ours[1], "rsyslog", theirs[1])
        report("memory", "MB", ours[2], "rsyslog", theirs[2])
    at_rest()


if __name__ == "__main__":
    main()
