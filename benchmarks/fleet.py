"""A trivial command on 50 hosts: connect, run, answer; ours against pyinfra and ansible.

The hosts are 50 loopback addresses of one sshd with throwaway keys, as near to 50 hosts as one machine gets: every
tool pays the same for the other end. Ours is the console's layer: strict host keys, keepalive, pacing; in a fresh
process, as the peers are. A second figure is the same command on connections that are already open, which is how a
console asks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _common import report, venv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.live.hosts import TestHost, TestHosts

COMMAND = "true"


def addresses(count: int) -> list[str]:
    return [f"127.0.0.{number + 10}" for number in range(count)]


def ours(port: int, count: int, key: str, known_hosts: str, *, again: bool) -> None:
    """The worker: a fresh process that connects to all and asks all; `again`: and then once more, timed."""
    from bhtui.ssh.connect import Connection, Gate, connect
    from bhtui.ssh.inventory import Host
    from bhtui.ssh.remote import execute

    async def one(host: Host, gate: Gate) -> Connection:
        link = await connect(host, gate)
        code, _, _ = await execute(link, COMMAND)
        assert code == 0
        return link

    async def run() -> None:
        gate = Gate()
        keys, known = (key,), (known_hosts,)
        hosts = [Host(name, name, port, "root", identity_files=keys, known_hosts=known) for name in addresses(count)]
        links = await asyncio.gather(*(one(host, gate) for host in hosts))
        if again:
            begun = time.perf_counter()
            await asyncio.gather(*(execute(link, COMMAND) for link in links))
            print(time.perf_counter() - begun)
        await asyncio.gather(*(link.close() for link in links))

    asyncio.run(run())


def timed(argv: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor for this side alone: real hosts bring processors of their own."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env}, timeout=300, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = time.perf_counter() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return taken


def pyinfra(programs: Path, folder: Path, host: TestHost, count: int) -> list[str]:
    inventory = folder / "inventory.py"
    data = {
        "ssh_port": host.port,
        "ssh_user": "root",
        "ssh_key": str(host.key),
        "ssh_known_hosts_file": str(host.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    inventory.write_text(f"hosts = {[(name, data) for name in addresses(count)]!r}\n")
    return [str(programs / "pyinfra"), "-y", str(inventory), "exec", "--", COMMAND]


def ansible(programs: Path, folder: Path, host: TestHost, count: int) -> list[str]:
    inventory = folder / "inventory.ini"
    options = f"-o UserKnownHostsFile={host.known_hosts}"
    inventory.write_text(
        "[all]\n" + "\n".join(addresses(count)) + f"\n[all:vars]\nansible_port={host.port}\nansible_user=root\n"
        f"ansible_ssh_private_key_file={host.key}\nansible_ssh_common_args='{options} -o ControlMaster=no'\n"
    )
    return [str(programs / "ansible"), "all", "-i", str(inventory), "-f", str(count), "-m", "raw", "-a", COMMAND]


def serve(hosts: TestHosts, count: int) -> TestHost:
    """One sshd on all loopback addresses, known under each of them."""
    host = hosts.loopback("many", "MaxStartups 1000:30:1000", address="0.0.0.0")
    key = " ".join((host.folder / "host_key.pub").read_text().split()[:2])
    host.known_hosts.write_text("".join(f"[{name}]:{host.port} {key}\n" for name in addresses(count)))
    return host


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--worker", nargs=3, metavar=("PORT", "KEY", "KNOWN"))
    options = parser.parse_args()
    if options.worker:
        ours(int(options.worker[0]), options.hosts, *options.worker[1:], again=options.again)
        return
    from tests.live.hosts import TestHosts  # not in the worker: it brings pytest along

    title = f"{options.hosts} hosts connected and answering, process start to exit"
    with TestHosts() as hosts, tempfile.TemporaryDirectory(prefix="bh-bench-") as temporary:
        folder = Path(temporary)
        host = serve(hosts, options.hosts)
        me = [sys.executable, __file__, "--hosts", str(options.hosts), "--worker"]
        me += [str(host.port), str(host.key), str(host.known_hosts)]
        environment = {"ANSIBLE_HOME": temporary}
        programs = {
            "blackhole": me,
            "pyinfra": pyinfra(venv("pyinfra") / "bin", folder, host, options.hosts),
            "ansible raw": ansible(venv("ansible-core") / "bin", folder, host, options.hosts),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(options.runs + 1):  # in turn, so that a slow moment of the machine meets them all
            for name, argv in programs.items():
                times[name].append(timed(argv, environment))
        for place, what in enumerate((title, "processor time of this side alone")):
            medians = {name: statistics.median(each[place] for each in times[name][1:]) for name in programs}
            for name in list(programs)[1:]:
                report(what, "s", medians["blackhole"], name, medians[name])
        again = subprocess.run([*me, "--again"], capture_output=True, text=True, check=True).stdout
        print(f"the same again on open connections: blackhole {float(again):.3f} s")


if __name__ == "__main__":
    main()
