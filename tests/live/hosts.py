"""Hosts for tests: OpenSSH servers with throwaway keys, on loopback or each in a network namespace of its own.

    with TestHosts() as hosts:
        web = hosts.loopback("web")
        far = hosts.namespaced("far")
        far.cut(); far.heal()

All of them share this machine's files and processes; each has its own BLACKHOLE_HOME. Everything is gone afterwards.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from bhtui.ssh.inventory import Host
from tests.live import require
from tests.live.home import Home
from tests.ports import free_port
from tests.waiting import until

_SERIAL = itertools.count()
JOB = "services: {job: {command: [sleep, '1000']}}\n"


def need(there: bool, what: str) -> None:
    """Skips the test when something it needs is missing; with BHTUI_REQUIRE_ALL=1 it fails instead."""
    if not there:
        require.missing(f"needs {what}")


def sshd_path() -> str:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


def have_sshd() -> bool:
    return bool(sshd_path() and shutil.which("ssh-keygen"))


def have_namespaces() -> bool:
    """Whether this user may make network namespaces here."""
    name = f"bh-try-{os.getpid()}"
    if os.getuid() != 0 or not shutil.which("ip"):
        return False
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        _run("ip", "netns", "del", name)
    return made


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


@dataclass
class TestHost:
    """One host: an sshd that answers at address and port."""

    __test__ = False
    name: str
    address: str
    port: int
    home: Path
    key: Path
    known_hosts: Path
    folder: Path
    namespace: str = ""
    cable: str = ""
    """The interface on this side that leads to it."""
    options: tuple[str, ...] = ()
    sshd: subprocess.Popen[bytes] | None = None
    jump: TestHost | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def host(self, **more: Any) -> Host:
        """As an inventory would have it."""
        base = Host(
            name=self.name,
            address=self.address,
            port=self.port,
            user=os.environ.get("USER") or "root",
            identity_files=(str(self.key),),
            known_hosts=(str(self.known_hosts),),
            home=str(self.home),
            connect_timeout=5.0,
            jump=(self.jump.host(),) if self.jump else (),
        )
        return replace(base, **more)

    def yaml(self) -> str:
        """Its entry below `hosts:` in a hosts.yaml."""
        entry = f"  {self.name}: {{address: {self.address}, port: {self.port}, identity_file: {self.key}, "
        entry += f"known_hosts: {self.known_hosts}, home: {self.home}"
        return entry + (f", jump: {self.jump.name}}}" if self.jump else "}") + "\n"

    def start(self) -> None:
        """Starts its sshd and waits until it listens."""
        log = self.folder / "sshd.log"
        config = self.folder / "sshd_config"
        config.write_text(_sshd_config(self))
        argv = [sshd_path(), "-D", "-f", str(config), "-E", str(log)]
        if self.namespace:
            argv = ["ip", "netns", "exec", self.namespace, *argv]
        self.sshd = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._listens, what=f"sshd of {self.name} listens")

    def _listens(self) -> bool:
        assert self.sshd and self.sshd.poll() is None, (self.folder / "sshd.log").read_text()
        return "Server listening" in self.log()

    def log(self) -> str:
        """What its sshd logged."""
        with suppress(FileNotFoundError):
            return (self.folder / "sshd.log").read_text()
        return ""

    def stop(self) -> None:
        """Ends its sshd with all open connections, as when the host loses power; the agent stays."""
        if self.sshd is None:
            return
        for process in self._sessions():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.sshd.kill()
        self.sshd.wait()
        self.sshd = None
        (self.folder / "sshd.log").unlink(missing_ok=True)

    def _sessions(self) -> list[psutil.Process]:
        """sshd's own processes, not what was started through it."""
        assert self.sshd
        children = psutil.Process(self.sshd.pid).children(recursive=True)
        return [process for process in children if "sshd" in _name(process)]

    def freeze(self) -> None:
        """Stops sshd and its sessions (SIGSTOP): connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.sshd
        for process in [*self._sessions(), psutil.Process(self.sshd.pid)]:
            with suppress(psutil.NoSuchProcess):  # a session may end meanwhile
                process.send_signal(number)

    def cut(self) -> None:
        """Pulls the cable: packets are lost, nobody is told."""
        _run("ip", "link", "set", self.cable, "down")

    def heal(self) -> None:
        """Puts the cable back."""
        _run("ip", "link", "set", self.cable, "up")

    def placed(self) -> list[Path]:
        """The bundles that are there."""
        folder = self.home / "state/bundles"
        return sorted(folder.iterdir()) if folder.is_dir() else []


def _name(process: psutil.Process) -> str:
    """Empty: it has just ended."""
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


def _sshd_config(host: TestHost) -> str:
    environ = "SetEnv " + " ".join(f"{name}={value}" for name, value in host.environ.items()) + "\n"
    mine = "".join(f"{option}\n" for option in host.options)
    given = {option.split()[0] for option in host.options}
    rest = {
        "MaxStartups": "200:30:400",
        "Subsystem": "sftp internal-sftp",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "yes",
        "StrictModes": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        "PrintMotd": "no",
        "PidFile": "none",
        "LogLevel": "VERBOSE",
    }
    return (
        f"Port {host.port}\nListenAddress {host.address}\nHostKey {host.folder}/host_key\n"
        f"AuthorizedKeysFile {host.folder}/authorized_keys\n{mine}{environ}"
        + "".join(f"{name} {value}\n" for name, value in rest.items() if name not in given)
    )


class TestHosts:
    """Makes hosts, and removes them and all that ran on them."""

    __test__ = False

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bh", dir="/tmp"))
        self.hosts: list[TestHost] = []
        self.known_hosts = self.root / "known_hosts"
        self.key = self.root / "id"
        self._namespaces: list[str] = []
        self._mounts: list[Path] = []
        self._serial = f"{os.getpid() % 100000}x{next(_SERIAL)}"
        self._net = f"10.{100 + os.getpid() % 100}.{next(_SERIAL) % 250}"
        self._bridge = ""
        self._made_run = False

    def __enter__(self) -> Self:
        need(have_sshd(), "OpenSSH's sshd and ssh-keygen")
        self.known_hosts.touch()
        _keygen(self.key)
        if os.getuid() == 0:
            # sshd's privilege separation folder, usually made by its unit; another test may be making it too.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def loopback(self, name: str, *options: str, address: str = "127.0.0.1", **environ: str) -> TestHost:
        """A host on a free port of a loopback address. `options`: lines of its sshd_config."""
        return self._make(name, address, free_port(), options, environ)

    def namespaced(self, name: str, *options: str, behind: TestHost | None = None) -> TestHost:
        """A host in a namespace of its own, with a cable to this machine, or only to the host it is `behind`."""
        need(have_namespaces(), "root and ip(8) to make network namespaces")
        number = len(self.hosts) + 2
        namespace, cable = f"bh{self._serial}n{number}", f"bv{self._serial}n{number}"
        _run("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        if behind is None:
            network = self._net
            _run("ip", "link", "set", cable, "master", self._need_bridge(), "up")
        else:
            network = f"10.99.{number}"
            _run("ip", "link", "set", cable, "netns", behind.namespace)
            _run("ip", "-n", behind.namespace, "addr", "add", f"{network}.1/24", "dev", cable)
            _run("ip", "-n", behind.namespace, "link", "set", cable, "up")
        address = f"{network}.{number}"
        _run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _run("ip", "-n", namespace, "link", "set", "eth0", "up")
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
        return self._make(name, address, 22, options, {}, namespace, cable, behind)

    @property
    def here(self) -> str:
        """The address of this machine for those in namespaces."""
        return f"{self._net}.1"

    def _need_bridge(self) -> str:
        if not self._bridge:
            self._bridge = f"bb{self._serial}"
            _run("ip", "link", "add", self._bridge, "type", "bridge")
            _run("ip", "addr", "add", f"{self._net}.1/24", "dev", self._bridge)
            _run("ip", "link", "set", self._bridge, "up")
        return self._bridge

    def _make(
        self,
        name: str,
        address: str,
        port: int,
        options: tuple[str, ...],
        environ: dict[str, str],
        namespace: str = "",
        cable: str = "",
        jump: TestHost | None = None,
    ) -> TestHost:
        folder = self.root / name
        folder.mkdir()
        _keygen(folder / "host_key")
        shutil.copy(self.key.with_suffix(".pub"), folder / "authorized_keys")
        public = " ".join((folder / "host_key.pub").read_text().split()[:2])
        shown = address if port == 22 else f"[{address}]:{port}"
        with self.known_hosts.open("a") as file:
            file.write(f"{shown} {public}\n")
        # A home of its own, or every command would wait for the start files of whoever runs the tests.
        environ = {"HOME": str(folder), **environ}
        host = TestHost(
            name, address, port, folder / "h", self.key, self.known_hosts, folder, namespace, cable, options, jump=jump,
            environ=environ,
        )  # fmt: skip
        self.hosts.append(host)
        host.start()
        return host

    def small_disk(self, host: TestHost, size: str) -> None:
        """Mounts a file system of this size as the host's home."""
        need(os.getuid() == 0, "root to mount a tmpfs")
        host.home.mkdir(exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(host.home))
        self._mounts.append(host.home)

    def close(self) -> None:
        """Ends everything: servers, agents, services, namespaces, files."""
        for host in self.hosts:
            if host.sshd:
                host.thaw()
            host.stop()
        self._end_processes()
        for mount in self._mounts:
            _run("umount", "-l", str(mount))
        for namespace in self._namespaces:
            _run("ip", "netns", "del", namespace)
        if self._bridge:
            _run("ip", "link", "del", self._bridge)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end_processes(self) -> None:
        """Kills what was started below our homes, told by the environment of each process."""
        # Keeper and agent have the one, services the other: those of a killed keeper would go on for ever.
        marks = [f"{name}={self.root}/".encode() for name in ("BLACKHOLE_HOME", "BLACKHOLE_RUN")]
        until(lambda: not self._kill_marked(marks), what="everything that ran on the hosts is gone")

    @staticmethod
    def _kill_marked(marks: list[bytes]) -> bool:
        found = False
        for proc in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environ = (proc / "environ").read_bytes()
                if any(mark in environ for mark in marks):
                    os.kill(int(proc.name), signal.SIGKILL)
                    found = True
        return found


def known(here: Home, *others: TestHost, config: str = JOB) -> None:
    """Writes hosts.yaml on the operator's machine, and a configuration on each host."""
    for each in others:
        each.home.mkdir(exist_ok=True)
        (each.home / "blackhole.yaml").write_text(config)
    (here.path / "hosts.yaml").write_text("hosts:\n" + "".join(each.yaml() for each in others))


def _keygen(path: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throwaway", "-f", str(path))
