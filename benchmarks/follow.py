"""Line to screen: from the write of a service to the merged output of `logs --follow`, 20 hosts at 5,000 lines/s each.

The hosts are 20 real keepers and agents on this machine, each with a service that writes; every line is captured into a
file, followed there by its agent, sent, ordered over all hosts and printed as text into a pipe. Every twentieth line
carries the time at which it was written. Measured twice: over OpenSSH (one sshd a host, the real command line), and
straight by the agents' sockets, where the processor has to do nothing for SSH. The peer in the same run is what people
do today: `tail -F` of the same files over 20 ssh connections, whose output comes in no order.

Services, keepers, agents and the reader share this machine: on two processors the load is a good part of what is
measured. So several rates are tried, and the highest is told at which 99 % of the lines are there within 200 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from _sweep import Sweep, swept
from _usage import Parts, Usage, per_million, with_children

AIM = 0.2
STAMP_EVERY = 20
BURST = 0.01
"""Seconds between writes of a service."""
_STAMP = re.compile(rb" t=(\d+) ")


def source(control: Path) -> None:
    """A service: writes at the rate in a file, lines a second."""
    out, number, rate, due, looked = sys.stdout.buffer, 0, 0, 0.0, 0.0
    now = time.monotonic()
    while True:
        before, now = now, time.monotonic()
        if now - looked > 0.5:
            looked, rate = now, int(control.read_text() or 0)
        due = min(due + rate * (now - before), rate * 1.0)
        lines = []
        while due >= 1:
            due, number = due - 1, number + 1
            mark = f" t={time.time_ns()} " if number % STAMP_EVERY == 0 else " "
            lines.append(f"INFO request {number:09d} served{mark}path=/items/{number % 977} in {number % 871} ms\n")
        out.write("".join(lines).encode())
        out.flush()
        time.sleep(max(0.0, now + BURST - time.monotonic()))


def reader(sockets: Sequence[str]) -> None:
    """`logs --follow` as the command line runs it, but by the agents' own sockets."""
    from bhtui.cli import logmerge
    from bhtui.cli.loglines import LogReader
    from bhtui.cli.verbs.logs.read import writer
    from bhtui.rpc.blackhole.v1.logs_pb2 import LogsRequest
    from bhtui.rpc.client import AgentClient

    class Socket:
        production = read_only = False

        def __init__(self, path: str) -> None:
            self.name, self._path = Path(path).parents[1].name, path

        async def client(self) -> AgentClient:
            return AgentClient(self._path)

        again = client

    async def run() -> None:
        request = LogsRequest(follow=True, since_ns=time.time_ns())
        readers = [LogReader(Socket(path), request, several=True) for path in sockets]  # type: ignore[arg-type]
        write = writer("text", hosts=True, export=False)
        async for _ in logmerge.past(readers):
            """Nothing."""
        async for lines, late in logmerge.new(readers):
            write(lines, late)
            sys.stdout.flush()

    asyncio.run(run())


@dataclass
class Figures:
    """What came out in a while."""

    lines: float
    """A second."""
    ages: list[float]
    late: int = 0

    def quantile(self, part: float) -> float:
        return sorted(self.ages)[min(len(self.ages) - 1, int(len(self.ages) * part))] if self.ages else float("inf")


def watch(fd: int, settle: float, seconds: float) -> Figures:
    """Reads what comes, as a screen would; the first seconds do not count."""
    began, ages, lines, late, rest = time.monotonic(), [], 0, 0, b""
    while (now := time.monotonic()) < began + settle + seconds:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        data = rest + os.read(fd, 1 << 20)
        read_at = time.time_ns()
        cut = data.rfind(b"\n") + 1
        data, rest = data[:cut], data[cut:]
        if now - began >= settle:
            ages += [(read_at - int(stamp)) / 1e9 for stamp in _STAMP.findall(data)]
            lines += data.count(b"\n")
            late += data.count(b"~web") + data.count(b"~bh-")
    return Figures(lines / seconds, ages, late)


@contextmanager
def piped(commands: Sequence[Sequence[str]], environ: dict[str, str] | None = None) -> Iterator[tuple[int, list[int]]]:
    """Programs that write into one pipe; its other end, and their pids."""
    out, into = os.pipe()
    started = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=into, stderr=subprocess.DEVNULL, env=environ)
        for command in commands
    ]
    os.close(into)
    try:
        yield out, [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
        os.close(out)


def cpu() -> float:
    """Seconds that the processors of this machine have worked."""
    ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Fleet:
    """Hosts with an agent and a service each, and the ways to read their logs."""

    def __init__(self, stack: ExitStack, sweep: Sweep, count: int, *, ssh: bool) -> None:
        from tests.live.home import home
        from tests.live.hosts import TestHosts

        self.operator = stack.enter_context(home())
        sweep.add(self.operator.path)
        self.control = self.operator.path / "rate"
        self.control.write_text("0")
        command = [sys.executable, str(Path(__file__).resolve()), "--source", str(self.control)]
        config = f"services: {{api: {{command: {command}, logging: {{rotate: {{max_size: 50MB, max_backups: 2}}}}}}}}\n"
        self.homes = []
        for _ in range(count):
            self.homes.append(stack.enter_context(home(config)))
            sweep.add(self.homes[-1].path)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: each.cli("start", timeout=300), self.homes))
        self.hosts: list[Any] = []
        if ssh:
            made = stack.enter_context(TestHosts())
            sweep.add(made.root)
            self.hosts = [made.loopback(f"web{number:02d}") for number in range(count)]
            entries = []
            for host, there in zip(self.hosts, self.homes, strict=True):
                host.home = there.path
                entries.append(host.yaml().replace("}\n", ", groups: [all]}\n"))
            (self.operator.path / "hosts.yaml").write_text("groups: {all: {}}\nhosts:\n" + "".join(entries))
        agents = [each.agent_pid() for each in self.homes]
        keepers = [psutil.Process(each.keeper_pid()) for each in self.homes]
        services = [child.pid for keeper in keepers for child in keeper.children() if child.pid not in agents]
        self.parts: Parts = {
            "services": lambda: with_children(*services),
            "keepers": lambda: keepers,
            "agents": lambda: with_children(*agents),
            "sshd": lambda: with_children(*(host.sshd.pid for host in self.hosts if host.sshd)),
        }

    def ways(self) -> Iterator[tuple[str, list[list[str]], dict[str, str]]]:
        """How each is called, the programs, and their environment."""
        environ = dict(self.operator.environ)
        sockets = [str(each.paths.agent_socket) for each in self.homes]
        yield "blackhole by socket", [[sys.executable, __file__, "--reader", *sockets]], environ
        if not self.hosts:
            return
        words = ["-m", "bhtui.cli.main", "--group", "all", "logs", "--follow", "--tail", "0"]
        yield "blackhole over ssh", [[sys.executable, *words]], environ
        tails = []
        for host, there in zip(self.hosts, self.homes, strict=True):
            options = ["-o", f"UserKnownHostsFile={host.known_hosts}", "-o", "BatchMode=yes", "-i", str(host.key)]
            path = there.paths.logs / "api" / "api-1.log"
            tails.append(["ssh", "-p", str(host.port), *options, host.address, "tail", "-n0", "-F", str(path)])
        yield "tail -F over ssh", tails, environ


def measure(fleet: Fleet, rates: Sequence[int], seconds: float) -> dict[str, int]:
    """Prints the figures of each way at each rate (lines a second of one host); the highest in time, by way."""
    count, best = len(fleet.homes), {}
    for name, commands, environ in fleet.ways():
        best[name] = 0
        fleet.control.write_text("0")
        with piped(commands, environ) as (fd, pids):
            watch(fd, 0.0, 6.0 + len(commands) / 4)  # until all are connected
            for rate in rates:
                fleet.control.write_text(str(rate))
                watch(fd, 0.0, 3.0)
                parts = {**fleet.parts, "reader": partial(with_children, *pids)}
                usage, used, began = Usage(parts), cpu(), time.monotonic()
                found = watch(fd, 0.0, seconds)
                share = (cpu() - used) / (time.monotonic() - began)
                p50, p99 = found.quantile(0.5), found.quantile(0.99)
                print(
                    f"{name}: {count} hosts at {rate:,} lines/s: {found.lines:,.0f} lines/s come, line to screen p50 "
                    f"{1000 * p50:,.0f} ms, p99 {1000 * p99:,.0f} ms, {found.late} late; the machine works "
                    f"{share:.1f} of {os.cpu_count()} processors\n"
                    f"  {per_million(usage.seconds(), found.lines * seconds)}",
                    flush=True,
                )
                if p99 <= AIM and found.lines > 0.95 * rate * count:
                    best[name] = rate
    fleet.control.write_text("0")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--rates", type=int, nargs="*", default=[500, 1000, 2000, 3000, 4000, 5000])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--no-ssh", action="store_true")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--reader", nargs="*")
    options = parser.parse_args()
    if options.source:
        source(options.source)
    if options.reader:
        reader(options.reader)
        return
    with swept() as sweep, ExitStack() as stack:
        best = measure(Fleet(stack, sweep, options.hosts, ssh=not options.no_ssh), options.rates, options.seconds)
    for name, rate in best.items():
        print(f"{name}: 99 % of the lines within {1000 * AIM:.0f} ms up to {rate:,} lines/s of each host")


if __name__ == "__main__":
    main()
