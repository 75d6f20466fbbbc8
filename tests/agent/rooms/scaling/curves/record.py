"""Records the curves of this folder that come from real programs, by the samples that a real agent takes of them.

    python -m tests.agent.rooms.scaling.curves.record NAME...    (each takes as long as WORKS says; several at once)

A keeper and an agent of their own run the program, something puts a load on it, and what the agent has kept at the end,
one sample a second, is the curve. For Linux with nginx, redis-server, redis-benchmark and cc.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import shlex
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bhtui.platform.demo import SERVICES, demo_yaml
from bhtui.rpc.blackhole.v1 import metrics_pb2
from bhtui.rpc.client import AgentClient
from tests.live.home import Home, home

HERE = Path(__file__).parent
A_LINE = 20
"""Values on a line of the file."""


@dataclass(frozen=True)
class Work:
    """`said` tells how it was recorded; the metric is of `service`; the load lasts `seconds`."""

    said: str
    service: str
    metric: str
    seconds: int
    config: Callable[[Home, int], str]
    load: Callable[[Home, int, int], Awaitable[None]]


async def record(name: str, port: int) -> None:
    """Runs one work and writes its file. The port and the nine after it are free."""
    work = WORKS[name]
    with home() as made:
        made.write_config(work.config(made, port))
        await asyncio.to_thread(made.cli, "start")
        async with AgentClient(made.paths.agent_socket) as client:
            begun = time.time_ns()
            await work.load(made, port, work.seconds)
            values = await _kept(client, work, begun)
    lines = [" ".join(f"{value:.1f}" for value in values[at : at + A_LINE]) for at in range(0, len(values), A_LINE)]
    (HERE / f"{name}.txt").write_text("\n".join([*_comment(work.said), "step 1", *lines]) + "\n")


def _comment(said: str) -> list[str]:
    return textwrap.wrap(said, 118, initial_indent="# ", subsequent_indent="# ")


async def _kept(client: AgentClient, work: Work, begun: int) -> list[float]:
    """A value a second; a second without a sample (the program is started again) is one of nothing used."""
    request = metrics_pb2.SeriesRequest(names=[work.service], metrics=[work.metric], since_ns=begun, step=1.0)
    answer = await client.series(request)
    [series] = [each for each in answer.series if each.metric == work.metric]
    scale = 100 / series.limit if work.metric == "memory_bytes" else 1.0
    points = zip(series.times_ns, series.values, strict=True)
    by_second = {at // 10**9: value * scale for at, value in points if not math.isnan(value)}
    return [by_second.get(second, 0.0) for second in range(min(by_second), max(by_second) + 1)]


async def _run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


# ---- nginx -----------------------------------------------------------------------------------------------------------


def _nginx(made: Home, port: int) -> str:
    folder, words = made.path / "nginx", random.Random(1)
    folder.mkdir()
    text = " ".join("".join(words.choices("etaoinshrdlu", k=words.randrange(2, 9))) for _ in range(24_000))
    (folder / "index.html").write_text(text)
    (folder / "nginx.conf").write_text(
        f"user root; worker_processes 1; pid {folder}/pid; error_log stderr; events {{ }}\n"
        f"http {{ access_log off; gzip on; gzip_types *; gzip_comp_level 6; keepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    return f"services: {{nginx: {{command: [nginx, -g, 'daemon off;', -c, {folder}/nginx.conf]}}}}\n"


async def _visit(made: Home, port: int, seconds: int) -> None:
    """Requests one after the other at random moments: few, then many, then few again for the rest."""
    for part, rate in ((0.12, 3.0), (0.3, 26.0), (0.58, 3.0)):
        end = asyncio.get_running_loop().time() + part * seconds
        while asyncio.get_running_loop().time() < end:
            await asyncio.gather(_get(port), asyncio.sleep(random.expovariate(rate)))


async def _get(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
    while await reader.read(1 << 16):
        pass
    writer.close()


# ---- the reference services ------------------------------------------------------------------------------------------


def _reference(made: Home, port: int) -> str:
    return demo_yaml(port, str(made.path / "data"), sys.executable, os.getcwd())


async def _stairs(made: Home, port: int, seconds: int) -> None:
    assert len(SERVICES) == 5
    rates = (15, 40, 80, 120, 80, 40, 15)
    for rate in rates:
        load = ("--base-port", str(port), "--rate", str(rate), "--duration", str(seconds / len(rates)))
        await _run(sys.executable, "-m", "bhtui.platform.load", *load)


# ---- redis -----------------------------------------------------------------------------------------------------------


def _redis(made: Home, port: int) -> str:
    return f"services: {{redis: {{command: [redis-server, --bind 127.0.0.1, --port {port}, --dir {made.path}]}}}}\n"


async def _bursts(made: Home, port: int, seconds: int) -> None:
    """Calm, with bursts of 20 s, 60 s and 300 s at a fifth, two fifths and three fifths of the time."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    bursts = [(seconds * part / 5, seconds * part / 5 + length) for part, length in ((1, 20), (2, 60), (3, 300))]
    while (passed := loop.time() - begun) < seconds:
        busy = any(first <= passed < last for first, last in bursts)
        count = "12000" if busy else "600"
        words = ("-p", str(port), "-q", "-c", "8", "-r", "50000", "-n", count, "-t", "set,lpush")
        await asyncio.gather(_run("redis-benchmark", *words), asyncio.sleep(1.0))


# ---- a compiler ------------------------------------------------------------------------------------------------------


def _compile(made: Home, port: int) -> str:
    folder = made.path / "source"
    folder.mkdir()
    body = "\n".join(
        f"int f{n}(const int *a, int n)\n"
        f"{{ int s = {n}; for (int i = 0; i < n; i++) s = s * 31 + a[i] % {n + 3}; return s; }}"
        for n in range(400)
    )
    for number in range(30):
        (folder / f"part{number}.c").write_text(body)
    script = f"while :; do for each in {folder}/*.c; do cc -O2 -c $each -o $each.o; done; sleep 90; done"
    return f"services: {{build: {{command: [sh, -c, {shlex.quote(script)}]}}}}\n"


async def _wait(made: Home, port: int, seconds: int) -> None:
    await asyncio.sleep(seconds)


# ---- a leak ----------------------------------------------------------------------------------------------------------

LEAK = """
import random, time
held = []
while True:
    held.append(bytearray(b"x") * random.randrange(200_000))
    time.sleep(random.expovariate(2))
"""


def _leak(made: Home, port: int) -> str:
    (made.path / "leak.py").write_text(LEAK)
    command = f"[{sys.executable}, {made.path}/leak.py]"
    return f"services: {{leak: {{command: {command}, restart: always, limits: {{memory: 64M}}}}}}\n"


CPU = "Per cent of a core, one value a second, "
WORKS = {
    "nginx-step": Work(
        CPU + "of nginx that compresses a page of 160 kB for each of about 3, then 26, then again 3 visitors a second",
        "nginx", "cpu_percent", 2880, _nginx, _visit,
    ),
    "storage-stairs": Work(
        CPU + "of the reference service storage while bhtui.platform.load asks 15, 40, 80, 120, 80, 40 and 15 times a "
        "second, 340 s each",
        "storage", "cpu_percent", 2380, _reference, _stairs,
    ),
    "redis-bursts": Work(
        CPU + "of redis-server, with bursts by redis-benchmark of 20 s, 60 s and 300 s and a little of it between",
        "redis", "cpu_percent", 2400, _redis, _bursts,
    ),
    "compile": Work(
        CPU + "of a job that compiles 30 files of C one after the other, rests for 90 s, and does it again",
        "build", "cpu_percent", 2400, _compile, _wait,
    ),
    "memory-leak": Work(
        "Memory, per cent of the limit of 64 MB, one value a second, of a process that leaks until the kernel ends it "
        "and that is started again",
        "leak", "memory_bytes", 1800, _leak, _wait,
    ),
}  # fmt: skip


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(sys.argv[1:] or WORKS):
            group.create_task(record(name, 21_000 + 20 * number))


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(main())
