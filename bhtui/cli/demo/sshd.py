"""An SSH server on loopback for the demonstration: OpenSSH's, or asyncssh's where that is missing; keys of its own."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import asyncssh

from bhtui.cli.files import write_whole
from bhtui.core.errors import BlackholeError

from .processes import descendants, started

START_TIMEOUT = 15.0
HOST = "demo"

# StrictModes off: the folder may lie below one that others may write to, and nothing but these keys opens the door.
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
AllowStreamLocalForwarding yes
X11Forwarding no
PrintMotd no
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""


def up(home: Path) -> str:
    """Starts the server unless it runs, and writes hosts.yaml with the host `demo`; says which server it is.

    Raises BlackholeError.
    """
    folder = home / "ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not _running(folder):
        _make_keys(folder)
        port = _free_port()
        argv = _openssh(folder, port) or [sys.executable, "-P", "-m", "bhtui.cli.demo.server", str(folder), str(port)]
        _start(folder, argv, port)
    record = _record(folder)
    write_whole(folder / "known_hosts", f"[127.0.0.1]:{record['port']} {(folder / 'host_key.pub').read_text()}")
    _declare(home, folder, record["port"])
    return str(record["server"])


def down(home: Path) -> bool:
    """Ends the server and the connections it holds; whether it ran."""
    folder = home / "ssh"
    pid = _running(folder)
    if not pid:
        return False
    family = [pid, *descendants(pid)]
    known = {each: started(each) for each in family}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for each in family:
            if started(each) == known[each] != 0:
                os.kill(each, number)
        deadline = time.monotonic() + 5.0
        while any(started(each) == known[each] != 0 for each in family) and time.monotonic() < deadline:
            time.sleep(0.01)
    (folder / "server.json").unlink(missing_ok=True)
    return True


def _make_keys(folder: Path) -> None:
    """Keys that are good for nothing but this server."""
    for name in ("host_key", "user_key"):
        if not (folder / name).exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment="blackhole demo")
            write_whole(folder / f"{name}.pub", key.export_public_key().decode())
            write_whole(folder / name, key.export_private_key().decode())
    write_whole(folder / "authorized_keys", (folder / "user_key.pub").read_text())


def _openssh(folder: Path, port: int) -> list[str]:
    """Its command line, or nothing when it is missing or refuses the configuration (as some do for plain users)."""
    sshd = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")
    if not sshd:
        return []
    write_whole(folder / "sshd_config", _CONFIG.format(port=port, folder=folder))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where Debian's sshd locks itself in
    argv = [sshd, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]
    tried = subprocess.run([*argv[:-2], "-t"], capture_output=True, check=False, timeout=30)
    return argv if tried.returncode == 0 else []


def _start(folder: Path, argv: list[str], port: int) -> None:
    with open(folder / "start.log", "wb") as log:
        server = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + START_TIMEOUT
    while not _listens(port):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            server.wait()
            said = (folder / "start.log").read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise BlackholeError(f"cannot start an SSH server: {said[0]}; install openssh-server")
        time.sleep(0.01)
    name = "OpenSSH" if Path(argv[0]).name == "sshd" else "asyncssh"
    record = {"pid": server.pid, "started": started(server.pid), "port": port, "server": name}
    write_whole(folder / "server.json", json.dumps(record))


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _running(folder: Path) -> int:
    """The server's process, if it is still the one that was started; else 0."""
    record = _record(folder)
    pid = int(record.get("pid", 0))
    return pid if pid and started(pid) == record.get("started") else 0


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def _declare(home: Path, folder: Path, port: int) -> None:
    """Writes hosts.yaml; in one that is there already only the line of the demo, the rest is somebody's own."""
    path, line = home / "hosts.yaml", f"  {HOST}: {_entry(home, folder, port)}"
    made = f"# Made by `blackhole demo up --ssh`.\ngroups: {{demo: {{}}}}\nhosts:\n{line}\n"
    if path.exists():
        before = path.read_text()
        made = re.sub(rf"^  {HOST}: .*$", lambda _: line, before, flags=re.MULTILINE)
        if line not in made.splitlines():
            raise BlackholeError(
                f"cannot declare the host {HOST} in {path}: it has no such line any more; put back under hosts:\n{line}"
            )
    write_whole(path, made)


def _entry(home: Path, folder: Path, port: int) -> str:
    entry = {
        "address": "127.0.0.1",
        "port": port,
        "user": getpass.getuser(),
        "identity_file": str(folder / "user_key"),
        "known_hosts": str(folder / "known_hosts"),
        "home": str(home),
        "groups": ["demo"],
    }
    return json.dumps(entry)
