"""A true Debian host for tests: systemd as PID 1, cgroup v2, a kernel of its own, under QEMU's software emulation.

    with Machine(image()) as machine:
        machine.run("systemctl is-system-running")
        machine.reboot()
        machine.cut_power()

What it writes survives a reboot and what it has flushed survives a power cut; nothing is left of it afterwards. It is
ten to twenty times slower than this machine: be generous with deadlines.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bhtui.ssh.inventory import Host
from tests.live.machine_image import USER, Image
from tests.ports import free_port
from tests.waiting import until

BOOT_SECONDS = 300.0
"""For a boot on a machine that is busy with other tests too."""


class Machine:
    """One virtual machine, on a fresh copy of the image's disk."""

    def __init__(self, image: Image, memory_mib: int = 1024) -> None:
        self.image = image
        self.memory_mib = memory_mib
        self.folder = Path(tempfile.mkdtemp(prefix="bh-vm-", dir="/tmp"))
        self.port = free_port()
        self.known_hosts = self.folder / "known_hosts"
        self.boots = 0
        self.boot_seconds = 0.0
        """How long the last boot took until sshd answered."""
        self._qemu: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.image.host_key}\n")
            disk = [*("-b", str(self.image.disk), "-F", "raw"), str(self.folder / "disk.qcow2")]
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *disk], check=True)
            self.power_on()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it and removes its disk."""
        self._log_out()
        self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- power

    def power_on(self) -> None:
        """Boots and waits until sshd answers."""
        words = f"root=/dev/nvme0n1 rw console=ttyS0 quiet net.ifnames=0 mitigations=off nowatchdog audit=0 {_SYSTEMD}"
        disk = f"file={self.folder}/disk.qcow2,if=none,id=d0,format=qcow2,cache=writeback,discard=unmap"
        net = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        argv = [
            *("qemu-system-x86_64", "-M", "q35,usb=off", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"),
            *("-smp", "2", "-m", str(self.memory_mib), "-nodefaults", "-display", "none"),
            *("-serial", f"file:{self.folder}/console"),
            *("-kernel", str(self.image.kernel), "-append", words),
            *("-drive", disk, "-device", "nvme,drive=d0,serial=d0"),
            *("-netdev", net, "-device", "virtio-net-pci,netdev=n0"),
            *("-object", "rng-random,id=r0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r0"),
        ]
        with (self.folder / "qemu").open("ab") as log:
            self._qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await_boot(time.monotonic())

    def _await_boot(self, began: float) -> None:
        until(self._listens, BOOT_SECONDS, f"{self.folder} boots")
        self.boot_seconds = time.monotonic() - began
        self.boots += 1

    def _listens(self) -> bool:
        """QEMU accepts connections at once, for a guest that may not be there yet; so it is the banner that counts."""
        assert self._qemu and self._qemu.poll() is None, (self.folder / "qemu").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.settimeout(60)
            return sock.recv(4) == b"SSH-"
        time.sleep(0.5)
        return False

    def reboot(self) -> None:
        """Restarts in order, as `systemctl reboot` does it; everything is stopped first."""
        began, before = time.monotonic(), self.boot_id()
        self.run("systemctl reboot", code=None)
        self._log_out()
        until(lambda: self._boot_id_or_none() not in (None, before), BOOT_SECONDS, "another boot id")
        self.boot_seconds = time.monotonic() - began
        self.boots += 1

    def _boot_id_or_none(self) -> str | None:
        self._log_out()
        try:
            return self.boot_id() if self._listens() else None
        except (AssertionError, subprocess.TimeoutExpired):
            return None

    def cut_power(self) -> None:
        """Off within a moment, whatever it is doing, and on again."""
        self._kill()
        self._log_out()
        self.power_on()

    def _kill(self) -> None:
        if self._qemu:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    # ---- reaching it

    def host(self, user: str = "root", **more: Any) -> Host:
        """As an inventory would have it."""
        base = Host(
            name=f"machine-{user}",
            address="127.0.0.1",
            port=self.port,
            user=user,
            identity_files=(str(self.image.key),),
            known_hosts=(str(self.known_hosts),),
            connect_timeout=60.0,
            keepalive=10.0,
        )
        return replace(base, **more)

    def run(self, command: str, user: str = "root", code: int | None = 0, timeout: float = 120) -> str:
        """Runs a command line in a login of this user, which stays for the next ones; what it printed.

        Fails when its exit code is another (None: any).
        """
        master = ["-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-o", f"ControlPath={self._control(user)}"]
        argv = ["ssh", *self._options(user), *master, "127.0.0.1", command]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
        said = f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, said
        return done.stdout

    def forward(self, user: str, here: Path, there: Path) -> None:
        """Brings a socket of the machine here, through the login of this user; again after that login has ended."""
        self.run("true", user)
        way = ["-o", f"ControlPath={self._control(user)}", "-L", f"{here}:{there}"]
        for verb in ("cancel", "forward"):
            here.unlink(missing_ok=True)
            argv = ["ssh", *self._options(user), *way, "-O", verb, "127.0.0.1"]
            subprocess.run(argv, capture_output=True, timeout=60, check=False)

    def boot_id(self) -> str:
        return self.run("cat /proc/sys/kernel/random/boot_id").strip()

    def console(self) -> str:
        """What it printed while it booted."""
        return (self.folder / "console").read_text(errors="replace")

    def log_out(self, user: str) -> None:
        """Ends the login that `run` keeps open."""
        argv = ["ssh", *self._options(user), "-o", f"ControlPath={self._control(user)}", "-O", "exit", "127.0.0.1"]
        subprocess.run(argv, capture_output=True, timeout=60, check=False)

    def _log_out(self) -> None:
        for user in ("root", USER):
            if self._control(user).exists():
                self.log_out(user)
                self._control(user).unlink(missing_ok=True)

    def _control(self, user: str) -> Path:
        return self.folder / f"ssh-{user}"

    def _options(self, user: str) -> list[str]:
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=60", "StrictHostKeyChecking=yes"]
        options += [f"UserKnownHostsFile={self.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
        named = [word for option in options for word in ("-o", option)]
        return ["-F", "none", *named, "-i", str(self.image.key), "-l", user, "-p", str(self.port)]


_SYSTEMD = "systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 systemd.log_level=warning fsck.mode=skip"


__all__ = ["USER", "Machine"]
