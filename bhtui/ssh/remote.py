"""Running programs and writing files on a host over an open connection, with the ends told apart."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import asyncssh

from . import onhost, probe
from .connect import Connection
from .inventory import Host
from .state import LinkError, LinkState

Progress = Callable[[int, int], None]
"""Bytes sent, bytes in all."""

_CHUNK = 1 << 18


async def execute(
    link: Connection, command: str, data: bytes | None = b"", timeout: float = 30.0
) -> tuple[int, str, str]:
    """Runs a command line with `data` on its standard input; exit code, output, error output. Raises LinkError."""
    name = link.host.name
    try:
        async with asyncio.timeout(timeout):
            done = await link.conn.run(command, input=data, encoding=None)
    except TimeoutError:
        raise LinkError(
            LinkState.FAILED, f"cannot work on {name}: a command gave no answer in {timeout:.0f} s",
            "see what its login shell's start files do", retry=True,
        ) from None  # fmt: skip
    except asyncssh.ChannelOpenError as error:
        raise LinkError(
            LinkState.FAILED, f"cannot run a command on {name}: sshd refused a session ({error.reason})",
            "see MaxSessions and ForceCommand in its sshd_config", retry=True,
        ) from None  # fmt: skip
    except (asyncssh.Error, OSError) as error:
        raise LinkError(LinkState.RECONNECTING, f"lost {name} while it ran a command: {error}", retry=True) from None
    return done.returncode if done.returncode is not None else 255, _text(done.stdout), _text(done.stderr)


def _text(data: Any) -> str:
    return bytes(data or b"").decode(errors="replace")


async def ask(link: Connection) -> probe.Found:
    """Probes the host. Raises LinkError."""
    host = link.host
    _, output, errors = await execute(link, probe.command(host.home, host.python), probe.script())
    try:
        return probe.parse(output)
    except ValueError as error:
        said = errors.strip().splitlines()
        raise LinkError(
            LinkState.FAILED,
            f"cannot find out what {host.name} is: {error}{'; it said: ' + said[-1] if said else ''}",
            "its login shell must run sh and print no errors; try: ssh HOST 'sh -c id'",
        ) from None


async def on_host(link: Connection, python: str, request: dict[str, Any], timeout: float = 60.0) -> dict[str, Any]:
    """Has `onhost` do something on the host with a Python that is there. Raises LinkError."""
    source = resources.files(__package__).joinpath("onhost.py").read_bytes()
    command = shlex.join([python, "-I", "-", json.dumps(request)])
    code, output, errors = await execute(link, command, source, timeout)
    line = next((line for line in output.splitlines() if line.startswith(onhost.MARK)), "")
    if not line:
        said = (errors or output).strip().splitlines()
        raise LinkError(
            LinkState.FAILED,
            f"cannot work on {link.host.name}: {python} ended with code {code}: {said[-1] if said else 'silently'}",
            f"try it there: {python} -c 'print(1)'",
        )
    answer: dict[str, Any] = json.loads(line.removeprefix(onhost.MARK))
    if "error" in answer:
        raise fault(link.host, answer["kind"], answer["error"])
    result: dict[str, Any] = answer["ok"]
    return result


_REMEDIES = {
    "no-space": "free some space there, or set home: in hosts.yaml to a larger file system",
    "no-permission": "make the folder writable for this user, or set home: in hosts.yaml",
    "damaged": "try again; if it repeats, check the host's disk and memory",
    "start": "see agent.log and keeper.err in its log folder",
}


def fault(host: Host, kind: str, text: str) -> LinkError:
    """What went wrong on a host, with the remedy for its kind."""
    causes = {"no-space": "no space left", "no-permission": "no permission"}
    cause = f"{causes[kind]} ({text})" if kind in causes else text
    return LinkError(
        LinkState.FAILED, f"cannot place or start the agent on {host.name}: {cause}", _REMEDIES.get(kind, "")
    )


async def upload(link: Connection, source: Path, target: str, progress: Progress) -> None:
    """Sends a file as `target` (0600, its folder made with 0700), by SFTP, or through `cat` where SFTP is off.

    Raises LinkError. A part that was sent is removed when there is no more space.
    """
    try:
        await _by_sftp(link, source, target, progress)
    except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.ChannelOpenError, asyncssh.SFTPBadMessage):
        await _by_cat(link, source, target, progress)
    except asyncssh.SFTPPermissionDenied as error:
        raise fault(link.host, "no-permission", f"{error.reason}: {target}") from None
    except asyncssh.SFTPNoSpaceOnFilesystem as error:
        raise fault(link.host, "no-space", f"{error.reason}: {target}") from None
    except asyncssh.SFTPFailure as error:
        # SFTP version 3, which OpenSSH speaks, says only "Failure" when the disk is full; `cat` says why.
        await _remove(link, target)
        await _by_cat(link, source, target, progress, after=str(error.reason))
    except (asyncssh.Error, OSError) as error:
        raise LinkError(
            LinkState.RECONNECTING, f"lost {link.host.name} while sending the agent: {error}", retry=True
        ) from None


async def _by_sftp(link: Connection, source: Path, target: str, progress: Progress) -> None:
    total = source.stat().st_size
    async with link.conn.start_sftp_client() as sftp:
        folder = target.rpartition("/")[0]
        await sftp.makedirs(folder, asyncssh.SFTPAttrs(permissions=0o700), exist_ok=True)
        await sftp.put(
            str(source), target, block_size=1 << 15, max_requests=128,
            progress_handler=lambda _from, _to, sent, _total: progress(sent, total),
        )  # fmt: skip
        await sftp.chmod(target, 0o600)


async def _by_cat(link: Connection, source: Path, target: str, progress: Progress, after: str = "") -> None:
    total = source.stat().st_size
    folder = shlex.quote(target.rpartition("/")[0])
    name = shlex.quote(target)
    command = f"umask 077; export LC_ALL=C; mkdir -p {folder} && cat > {name} || {{ rm -f {name}; exit 1; }}"
    code, _, errors = await execute(link, f"sh -c {shlex.quote(command)}", source.read_bytes(), timeout=600)
    if code:
        text = errors.strip().splitlines()[-1] if errors.strip() else after or f"cat ended with code {code}"
        kind = "no-space" if "No space" in text or "quota" in text.lower() else "failed"
        kind = "no-permission" if "ermission" in text or "Read-only" in text else kind
        raise fault(link.host, kind, text)
    progress(total, total)


async def _remove(link: Connection, target: str) -> None:
    await execute(link, shlex.join(["rm", "-f", "--", target]))
