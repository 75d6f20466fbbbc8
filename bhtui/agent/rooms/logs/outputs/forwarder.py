"""The process that sends: `python -m bhtui.agent.rooms.logs.outputs.forwarder`, begun and ended by the agent.

Standard input brings one line of JSON, `{logs, state, begun_ns, host, version, outputs}`; its end is the order to end,
so a forwarder never outlives its agent for long. Standard output gives lines of JSON: `{"status": [...]}` about once a
second, and `{"lost": {...}}` for what rotation took. A lock in the state folder keeps two agents' forwarders apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import logging
import os
import resource
import select
import signal
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bhtui.core import codec
from bhtui.core.outputs import OutputSpec, OutputStatus

from ..files import active_name
from . import sinks
from .chains import Chain, Held
from .cursors import Cursors
from .deadletter import DeadLetters
from .pump import Pump
from .tail import Lost, Tail

log = logging.getLogger(__name__)

AGENT = "agent"
FASTEST, SLOWEST = 0.05, 0.5
"""Seconds between looks at the files: after something came, and when it has been quiet."""
DISCOVER_SECONDS = STATUS_SECONDS = 1.0
END_SECONDS = 3.0
NICE = 5
LEAST_TOLD = 200
"""Losses that wait to be told, at most; more are added to the counts alone."""


class Teller:
    """Standard output, never waited for: the newest status, and every loss, when the agent reads on."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._rest = b""
        self._lost: deque[bytes] = deque(maxlen=LEAST_TOLD)

    def lost(self, name: str, lost: Lost) -> None:
        """Called by the threads of the outputs."""
        self._lost.append(_line({"lost": {"output": name, **lost._asdict()}}))

    def status(self, statuses: list[OutputStatus]) -> None:
        """Tells how the outputs are, and what was lost. Raises BrokenPipeError when nobody is there any more."""
        if not self._rest:
            lost = [self._lost.popleft() for _ in range(len(self._lost))]
            self._rest = b"".join([*lost, _line({"status": [asdict(each) for each in statuses]})])
        with contextlib.suppress(BlockingIOError):
            self._rest = self._rest[os.write(self._fd, self._rest) :]


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


class Forwarder:
    """Looks at the files for all outputs; one thread."""

    def __init__(self, logs: Path, pumps: list[Pump]) -> None:
        self._logs, self._pumps = logs, pumps
        # What a file output writes between the captured files is not captured.
        self._own = {Path(pump.spec.options["path"]) for pump in pumps if pump.spec.type == "file"}
        self._chains: dict[Path, tuple[Chain, list[Tail]]] = {}
        self._next_discovery = 0.0
        self._is_first = True

    def look(self, now: float) -> bool:
        """Whether anything has come."""
        if now >= self._next_discovery:
            self._next_discovery = now + DISCOVER_SECONDS
            self._discover()
            for chain, _ in self._chains.values():
                chain.look_at_removed(now)
        is_new = False
        for chain, _ in self._chains.values():
            try:
                is_new = chain.look() or is_new
            except OSError as error:
                log.warning("cannot look at %s: %s", chain.path, error)
        if is_new:
            for pump in self._pumps:
                pump.wake.set()
        return is_new

    def _discover(self) -> None:
        paths = [(path.parent.name, path) for path in self._logs.glob("*/*.log")]
        paths += [
            (AGENT, path) for path in self._logs.glob(f"{AGENT}*.log") if active_name(path.name) == f"{AGENT}.log"
        ]
        for service, path in paths:
            active = path.with_name(active_name(path.name))
            wanted = any(pump.spec.takes(service) for pump in self._pumps) and active not in self._own
            if wanted and active not in self._chains:
                self._add(service, active)
        self._is_first = False

    def _add(self, service: str, path: Path) -> None:
        tails: list[Tail] = []

        def follow(held: Held) -> None:
            for tail in tails:
                tail.follow(held)

        chain = Chain(service, path.stem, path, follow)
        try:
            there = chain.begin()
        except OSError as error:
            log.warning("cannot read the log of %s: %s", path.stem, error)
            return
        tails += [
            pump.add(chain, [held.use() for held in there], was_there=self._is_first)
            for pump in self._pumps
            if pump.spec.takes(service)
        ]
        for held in there:
            held.leave()
        self._chains[path] = chain, tails


def run(order: dict[str, Any], stdin: int, stdout: int) -> int:
    """From the order until standard input ends. The exit code."""
    folder = Path(order["state"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        if not _locked(lock.fileno(), stdin):
            return 0
        teller = Teller(stdout)
        around = sinks.Around(order["host"], order["version"])
        pumps = [_pump(codec.decode(OutputSpec, each), folder, around, teller) for each in order["outputs"]]
        for pump in pumps:
            pump.load(int(order["begun_ns"]))
        forwarder = Forwarder(Path(order["logs"]), pumps)
        forwarder.look(time.monotonic())
        for pump in pumps:
            pump.start()
        code = _watch(forwarder, pumps, teller, stdin)
        _end(pumps, teller)
        return code


def _pump(spec: OutputSpec, folder: Path, around: sinks.Around, teller: Teller) -> Pump:
    return Pump(spec, sinks.make(spec, around), Cursors(folder, spec.name), DeadLetters(folder, spec.name), teller.lost)


def _locked(fd: int, stdin: int) -> bool:
    """Waits for the forwarder of an agent that has just died; False: this one is to end before it began."""
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_ended(stdin, 0.1):
                return False
        else:
            return True


def _watch(forwarder: Forwarder, pumps: list[Pump], teller: Teller, stdin: int) -> int:
    delay, next_status = FASTEST, 0.0
    while not _is_ended(stdin, delay):
        delay = FASTEST if forwarder.look(time.monotonic()) else min(delay * 1.5, SLOWEST)
        if not all(pump.is_running for pump in pumps):
            return 1
        if time.monotonic() >= next_status:
            next_status = time.monotonic() + STATUS_SECONDS
            teller.status([pump.status for pump in pumps])
    return 0


def _is_ended(stdin: int, seconds: float) -> bool:
    """Waits so long at most for the end of standard input."""
    return bool(select.select([stdin], [], [], seconds)[0]) and os.read(stdin, 4096) == b""


def _end(pumps: list[Pump], teller: Teller) -> None:
    for pump in pumps:
        pump.stop()
    deadline = time.monotonic() + END_SECONDS
    for pump in pumps:
        pump.join(max(0.0, deadline - time.monotonic()))
    with contextlib.suppress(OSError):
        teller.status([pump.status for pump in pumps])


def main() -> int:
    """Reads the order and runs."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Its agent ends it. What ends everything at once (systemd, a logout) must not cut off the services' last lines.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    # Lines are made by the thousand and are in no cycles: looking for those at every 700th costs a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536) if hard > 0 else 65_536), hard))
    order = json.loads(_first_line(0))
    logging.getLogger().setLevel(order["log_level"].upper())
    try:
        return run(order, 0, 1)
    except BrokenPipeError:  # the agent has died between two looks: what is kept is kept
        return 0


def _first_line(fd: int) -> bytes:
    data = b""
    while not data.endswith(b"\n") and (part := os.read(fd, 65_536)):
        data += part
    return data


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # A thread that still waits for a receiver must not hold up the end; places are kept by now, or were a second ago.
    os._exit(code)
