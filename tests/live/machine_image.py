"""The disk of a true Debian 12 host with systemd and cgroup v2, made once and kept in the cache.

Only what a minimal server has: the stock Python 3.11 without pip, sshd, Redis, Podman. Its packages come from where
this machine's apt gets its own. The text of this file is the recipe: whoever changes it gets a new disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live import require

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "python3", "iproute2", "procps", "kmod",
    "cron", "redis-server", "podman", "crun", "netavark", "busybox-static",
)  # fmt: skip
KERNEL = "linux-image-cloud-amd64"
SIZE = "2G"
USER = "ops"
"""An ordinary user, beside root; the same key opens both."""
ADDRESS = "10.0.2.15/24"
"""What QEMU's user network expects."""

MASKED = (
    "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udevd-kernel.socket",
    "systemd-udevd-control.socket", "systemd-udev-settle.service", "getty.target", "getty@tty1.service",
    "serial-getty@ttyS0.service", "redis-server.service", "systemd-binfmt.service", "systemd-networkd.service",
    "systemd-timesyncd.service", "systemd-random-seed.service", "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
    "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "kmod-static-nodes.service", "dev-hugepages.mount",
    "dev-mqueue.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "modprobe@loop.service",
    "modprobe@dm_mod.service", "modprobe@fuse.service", "modprobe@configfs.service", "modprobe@drm.service",
    "modprobe@efi_pstore.service", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
    "systemd-journal-flush.service", "podman-auto-update.service", "podman-auto-update.timer",
)  # fmt: skip
"""What only takes time under emulation. Without udev no device waits for a probe: the kernel makes the nodes."""

FILES = {
    "etc/fstab": "/dev/nvme0n1 / ext4 defaults 0 0\n",
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/modules-load.d/net.conf": "virtio_pci\nvirtio_net\n",
    "etc/ssh/sshd_config.d/test.conf": "HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\n"
    "PermitRootLogin prohibit-password\nUseDNS no\nPrintMotd no\nMaxStartups 50\n",
    # Whoever logs out takes all with him, root too: the hardest setting that there is.
    "etc/systemd/logind.conf.d/test.conf": "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\nUserStopDelaySec=0\n",
    "etc/systemd/journald.conf.d/test.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/cable.service": "[Unit]\nDefaultDependencies=no\nAfter=systemd-modules-load.service\n"
    "Before=network.target ssh.service\n[Service]\nType=oneshot\nExecStart=/sbin/ip link set lo up\n"
    f"ExecStart=/sbin/ip addr add {ADDRESS} dev eth0\nExecStart=/sbin/ip link set eth0 up\n"
    "[Install]\nWantedBy=sysinit.target\n",
}


@dataclass(frozen=True, slots=True)
class Image:
    """A disk that boots; nobody writes to it."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def key(self) -> Path:
        """The private key that opens it."""
        return self.folder / "id"

    @property
    def host_key(self) -> str:
        """Kind and public key of its sshd."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])


def image() -> Image:
    """The disk, built when there is none yet. Skips, or fails where all must be there, without what it needs."""
    if platform.machine() != "x86_64":
        require.missing("the machine of this recipe is an x86_64")
    for name in ("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "ssh-keygen", "ssh", "apt-get"):
        require.program(name, f"/usr/sbin/{name}")
    require.root()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "blackhole-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"machine-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]}"
    with _only_one(cache / "machine.lock"):
        if not folder.exists():
            _build(folder)
    return Image(folder)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path) -> None:
    """All of it in a folder beside, which gets its name when it is whole. Only one is built at a time."""
    mirror = _mirror()
    for stale in folder.parent.glob("building-*"):
        _discard(stale)
    half = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    root = half / "root"
    try:
        _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), mirror)
        _add_kernel(root, half)
        _configure(root, half)
        _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(half / "disk.raw"), SIZE)
        shutil.rmtree(root)
        half.chmod(0o700)
        half.rename(folder)
    finally:
        _discard(half)


def _discard(half: Path) -> None:
    """What a build leaves that did not come to its end: it may still have mounts in it."""
    for mounted in ("proc", "sys"):
        subprocess.run(["umount", "-l", str(half / "root" / mounted)], capture_output=True, check=False)
    shutil.rmtree(half, ignore_errors=True)


def _mirror() -> str:
    """Where this machine's apt gets the suite from."""
    text = _run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    found = [line.split()[2] for line in text.splitlines() if line.split()[:2] == [SUITE, "main"]]
    if not found:
        require.missing(f"apt has no Debian {SUITE} here")
    return found[0]


def _add_kernel(root: Path, half: Path) -> None:
    """Unpacks the kernel instead of installing it: NVMe and ext4 are built in, so it needs no initrd."""
    *_, name = _run("apt-cache", "depends", "--important", KERNEL).split()
    _run("apt-get", "download", "-q", name, cwd=half)
    package, unpacked = next(half.glob("linux-image-*.deb")), half / "kernel"
    _run("dpkg-deb", "-x", str(package), str(unpacked))
    kernel = next((unpacked / "boot").glob("vmlinuz-*"))
    kernel.rename(half / "vmlinuz")
    shutil.move(unpacked / "lib/modules", root / "usr/lib/modules")
    _run("chroot", str(root), "/sbin/depmod", kernel.name.removeprefix("vmlinuz-"))
    package.unlink()
    shutil.rmtree(unpacked)


def _configure(root: Path, half: Path) -> None:
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    units = root / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    _run("chroot", str(root), "/bin/systemctl", "enable", "ssh.service", "cable.service")
    _run("chroot", str(root), "/sbin/useradd", "--create-home", "--shell", "/bin/bash", USER)
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throwaway", "-f", str(half / "id"))
    for home, owner in (("root", 0), (f"home/{USER}", 1000)):
        folder = root / home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(half / "id.pub", folder / "authorized_keys")
        for path in (folder, folder / "authorized_keys"):
            os.chown(path, owner, owner)
    shutil.copy(root / "etc/ssh/ssh_host_ed25519_key.pub", half / "host_key.pub")


def _run(*argv: str, cwd: Path | None = None) -> str:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {(done.stdout + done.stderr)[-2000:]}"
    return done.stdout
