"""Real container engines for one test: Docker's or Podman's service on a socket of its own, and a small image in it.

Nothing of the host is used: storage and sockets are in a folder that is removed afterwards, containers have no network,
and the image is made of busybox, so that no registry is asked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.live import require
from tests.waiting import until

IMAGE = "localhost/blackhole/busybox:1"
APPLETS = ("sh", "sleep", "echo", "cat", "seq", "tail", "true", "false")
LAUNCH_SECONDS = 60.0


@dataclass
class Lab:
    """One engine. `program` begins each command of it."""

    engine: str
    folder: Path
    program: list[str]
    service: list[str]
    environ: Mapping[str, str]
    running: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> str:
        return f"{self.folder}/{self.engine}.sock"

    def run(self, *words: str, check: bool = True) -> str:
        """A command of the engine, as people type it."""
        done = subprocess.run(
            [*self.program, *words], env=self.environ, capture_output=True, text=True, timeout=120, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{self.engine} {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def container(self, name: str, script: str, *options: str) -> str:
        """Runs a script of the shell as a container; its id."""
        return self.run("run", "-d", "--name", name, "--net", "none", *options, IMAGE, "sh", "-c", script)

    def launch(self) -> None:
        """Starts the service behind the socket, and waits until it answers."""
        with (self.folder / "service.log").open("ab") as log:
            self.running = subprocess.Popen(self.service, env=self.environ, stdout=log, stderr=log)
        until(
            self._answers, LAUNCH_SECONDS, f"{self.engine} answers: {(self.folder / 'service.log').read_text()[-2000:]}"
        )

    def _answers(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, (self.folder / "service.log").read_text()[-2000:]
        return (
            Path(self.socket).exists()
            and not subprocess.run(
                ["curl", "-sf", "--unix-socket", self.socket, "http://localhost/_ping"],
                capture_output=True,
                check=False,
            ).returncode
        )

    def halt(self) -> None:
        """Ends the service behind the socket."""
        if self.running is not None:
            self.running.terminate()
            self.running.wait(60)
            self.running = None

    def clear(self) -> None:
        """Removes every container."""
        for name in self.run("ps", "-aq", check=False).split():
            self.run("rm", "-f", name, check=False)


@contextmanager
def lab(engine: str) -> Iterator[Lab]:
    """`docker` or `podman`, with the image."""
    require.root()
    require.program("curl")
    folder = Path(tempfile.mkdtemp(prefix=f"bh-{engine}-", dir="/tmp"))
    made = (_docker if engine == "docker" else _podman)(folder)
    try:
        made.launch()
        made.run("import", str(_root_file_system(folder)), IMAGE)
        yield made
        made.clear()
    finally:
        made.halt()
        subprocess.run(["umount", "-R", "-q", str(folder / "store")], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _docker(folder: Path) -> Lab:
    require.program("dockerd")
    socket = f"unix://{folder}/docker.sock"
    service = [
        "dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", "-H", socket,
        "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/docker.pid",
    ]  # fmt: skip
    return Lab("docker", folder, [require.program("docker"), "-H", socket], service, os.environ)


def _podman(folder: Path) -> Lab:
    require.program("podman")
    # What containers may open at once is not to be more than this process may.
    config = folder / "containers.conf"
    config.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n')
    program = [
        "podman", "--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs",
        "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--tmpdir", f"{folder}/tmp",
        "--runtime", require.program("/usr/sbin/runc", "/usr/bin/runc", "runc"),
    ]  # fmt: skip
    service = [*program, "system", "service", "--time=0", f"unix://{folder}/podman.sock"]
    return Lab("podman", folder, program, service, {**os.environ, "CONTAINERS_CONF": str(config)})


def _root_file_system(folder: Path) -> Path:
    """An archive of busybox, the libraries it wants, and a link for each program in it."""
    busybox = require.program("busybox")
    linked = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    archive = folder / "root.tar"
    with tarfile.open(archive, "w", dereference=True) as tar:
        tar.add(busybox, "bin/busybox")
        for library in re.findall(r"(/\S+) \(0x", linked):
            tar.add(library, library.lstrip("/"))
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive
