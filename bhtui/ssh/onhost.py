"""What is done on a host itself: check and unpack a bundle, start the keeper, tidy up. Standard library only.

Sent as text to the host's Python before anything of ours is there, and imported on this machine to start the local
agent. As a program: one JSON object as its argument, one line `BLACKHOLE-ONHOST-1 {"ok": ...}` as its answer, or
`{"error": ..., "kind": ...}`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MARK = "BLACKHOLE-ONHOST-1 "

COMES_BACK = 3.0
"""Seconds in which a keeper brings its agent back by itself; after them it is told to."""

DEATHS = 3
"""So often an agent may die before it answers: its keeper starts it again within tenths of a second."""

LOOK = 0.25
"""Seconds between looks at whether it dies instead of starting."""


class Fault(Exception):
    """Something cannot be done here. `kind` is for programs: no-space, no-permission, damaged, start, failed."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def answers(path: str, kind: int = socket.SOCK_STREAM) -> bool:
    """Whether anybody accepts connections at a Unix socket; the keeper's is of the kind SOCK_SEQPACKET."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(2)
        try:
            sock.connect(path)
        except OSError:
            return False
    return True


def unpack(part: str, digest: str, folder: str) -> None:
    """Checks an uploaded archive against its SHA-256 and unpacks it whole as `folder`; the archive is removed.

    Nothing of the archive is used before the check. Raises Fault.
    """
    actual = hashlib.sha256()
    with open(part, "rb") as file:
        while chunk := file.read(1 << 20):
            actual.update(chunk)
    if actual.hexdigest() != digest:
        Path(part).unlink()
        raise Fault("damaged", "the archive arrived damaged: its SHA-256 is not the one that was sent")
    half = Path(f"{folder}.{os.getpid()}.part")
    try:
        half.mkdir(mode=0o700)
        with tarfile.open(part) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(half, filter="data")
            else:  # Python 3.11.0 to 3.11.3; the content was checked by its hash
                archive.extractall(half)  # noqa: S202
        os.chmod(half, 0o700)  # noqa: PTH101
        if not Path(folder).is_dir():
            half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
        Path(part).unlink(missing_ok=True)


def tidy(placed: str, keep: list[str], newest: int = 2, prefix: str = "") -> list[str]:
    """Removes what was placed in a folder (bundles, layers) under names with the prefix, except `keep`, the newest, and
    what a process or the boot uses; the removed."""
    root = Path(placed)
    if not root.is_dir():
        return []
    found = [p for p in root.iterdir() if p.is_dir() and p.name.startswith(prefix)]
    folders = sorted(found, key=lambda p: p.stat().st_mtime_ns, reverse=True)
    whole = [folder for folder in folders if not folder.name.endswith(".part")]
    spared = {*keep, *(folder.name for folder in whole[:newest]), *_in_use(root)}
    gone = [folder for folder in whole if folder.name not in spared]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in gone]


def _in_use(root: Path) -> set[str]:
    """Names of what processes of this user were started from (PYTHONPATH) or have mapped, and of the bundle that the
    launcher beside the bundles starts at boot."""
    names: set[str] = set()
    prefix = f"{root}/"
    processes = [proc for proc in Path("/proc").iterdir() if proc.name.isdigit()]
    for file in (root.parent / "start", *(proc / name for proc in processes for name in ("environ", "maps"))):
        try:
            text = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        names |= {re.split(r"[/\0:'\s]", rest, maxsplit=1)[0] for rest in text.split(prefix)[1:]}
    return names


def start(
    python: str,
    library: str,
    run: str,
    logs: str,
    environ: dict[str, str],
    timeout: float = 40.0,
    coming: str = "",
) -> None:
    """Starts keeper and agent, detached from this session, and waits until the agent answers. Raises Fault.

    `library` goes first on the module path; empty: the interpreter finds bhtui itself. `timeout` is for a slow host
    that compiles all modules at its first start. `coming` is the mark of rpc.coming, to be left for the agent.
    """
    agent, keeper = str(Path(run) / "agent.sock"), str(Path(run) / "keeper.sock")
    if answers(agent):
        return
    for folder in (run, logs):
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    if coming:
        with suppress(OSError):  # the agent says what is wrong with its folders
            Path(coming).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(coming).touch(mode=0o600)
    began = time.monotonic()
    said = Path(logs) / "start.log"
    ours = not answers(keeper, socket.SOCK_SEQPACKET)
    command = ([python, "-m", "bhtui.agent"], _environment(library, environ))
    told = _size(Path(logs) / "agent.log")
    if ours:
        code = _launch(
            [python, "-m", "bhtui.keeper", "--run", run, "--log-dir", logs, "--detach", "--"], *command, said
        )
        if code and not answers(keeper, socket.SOCK_SEQPACKET):
            raise Fault("start", f"the keeper ended with code {code}: {_last_words(said) or 'it said nothing'}")
    deaths, look = 0, 0.0
    while not answers(agent):
        now = time.monotonic()
        if now > look:
            look, kept = now + LOOK, _kept_agent(keeper)
            if not ours and (not kept["wanted"] or now - began > COMES_BACK):
                ours, deaths = True, kept["restarts"]
                _ask_keeper(keeper, op="agent", action="restart", argv=command[0], env=command[1])
            elif ours and kept["restarts"] - deaths >= DEATHS:
                raise Fault("start", f"the agent ends at once: {_words(logs, told, said)}")
        if now - began > timeout:
            raise Fault("start", f"the agent gave no answer in {timeout:.0f} s: {_words(logs, told, said)}")
        time.sleep(0.01)


def _environment(library: str, environ: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **environ, **({"PYTHONPATH": library} if library else {})}


def _launch(keeper: list[str], agent: list[str], env: dict[str, str], said: Path) -> int:
    """Runs the keeper's command, which comes back when the keeper is in the background; its exit code."""
    # A pipe would be held open by what stays behind, and an SSH channel would wait for it.
    with open(said, "wb") as log:
        done = subprocess.run(
            [*keeper, *agent],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            timeout=15,
            check=False,
        )
    return done.returncode


def _ask_keeper(keeper: str, **request: Any) -> dict[str, Any]:
    """One question and its answer, each one packet of bhtui.keeper's protocol. Raises Fault."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(5)
        sock.connect(keeper)
        sock.send(json.dumps({"id": 1, **request}).encode())
        answer: dict[str, Any] = json.loads(sock.recv(1 << 20))
    if "error" in answer:
        raise Fault("start", f"the keeper does not start the agent: {answer['error']['text']}")
    return answer


def _kept_agent(keeper: str) -> dict[str, Any]:
    """What a keeper says of its agent: whether it is `wanted`, how many `restarts`. Nothing bad while it is mute."""
    try:
        found: dict[str, Any] = _ask_keeper(keeper, op="stats")["agent"]
    except (OSError, ValueError):
        return {"wanted": True, "restarts": 0}
    return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _words(logs: str, told: int, said: Path) -> str:
    """Why an agent does not come up: what it said since its log had `told` bytes, or its keeper did."""
    words = _last_words(Path(logs) / "agent.log", told) or _last_words(Path(logs) / "keeper.err") or _last_words(said)
    return words or "it said nothing"


def _last_words(file: Path, after: int = 0) -> str:
    """The last line after so many bytes, without the time stamp of a captured log and the level."""
    try:
        lines = file.read_bytes()[after:][-4096:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    said = re.sub(r"^\S+Z (stdout|stderr) [FP] ", "", lines[-1]).strip() if lines else ""
    return re.sub(r"^(CRITICAL|ERROR|WARNING|INFO|DEBUG) [\w.]+: ", "", said)


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Does what the request asks for, in this order: unpack, start, tidy. Raises Fault, OSError."""
    os.umask(0o077)
    answer: dict[str, Any] = {}
    for archive in request.get("unpack", ()):
        unpack(archive["part"], archive["sha256"], archive["folder"])
    if "start" in request:
        start(**request["start"])
    if "tidy" in request:
        answer["tidied"] = tidy(**request["tidy"])
    return answer


def fault_kind(error: OSError) -> str:
    """The kind of an error of the system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no-space"
    return "no-permission" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else "failed"


def main(argument: str) -> str:
    """The line to print."""
    try:
        answer: dict[str, Any] = {"ok": work(json.loads(argument))}
    except Fault as error:
        answer = {"error": str(error), "kind": error.kind}
    except OSError as error:
        answer = {"error": f"{error.strerror}: {error.filename}", "kind": fault_kind(error)}
    except (tarfile.TarError, EOFError) as error:
        answer = {"error": f"cannot unpack: {error}", "kind": "damaged"}
    return MARK + json.dumps(answer)


if __name__ == "__main__":
    print(main(sys.argv[1]))
