"""Puts the agent on a host and starts it: what is missing is sent, checked by its hash, and only then unpacked."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..rpc import coming
from . import bundle, runtime
from .bundle import Bundle
from .connect import Connection
from .probe import Found, Python
from .remote import Progress, execute, fault, on_host, upload
from .state import LinkError, LinkState
from .target import Target

_ROOM = 6
"""Bytes needed on a host for one byte of archive: the archive, what it unpacks to, and compiled modules."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What is on the host now."""

    python: str
    bundle_dir: str


class Builder:
    """Builds each bundle once, however many hosts ask for it at the same time."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._locks: dict[Target, asyncio.Lock] = {}

    async def bundle(self, target: Target) -> Bundle:
        async with self._locks.setdefault(target, asyncio.Lock()):
            return await asyncio.to_thread(bundle.build, target, self.cache)

    async def layer(self, name: str, target: Target) -> Bundle:
        async with self._locks.setdefault(target, asyncio.Lock()):
            return await asyncio.to_thread(bundle.build_layer, name, target, self.cache)


async def place(
    link: Connection,
    found: Found,
    builder: Builder,
    say: Callable[[str], None],
    *,
    start: bool = True,
    for_start: bool = False,
) -> Placed:
    """Places the bundle that fits (and a Python where there is none), and starts keeper and agent. Raises LinkError.

    Placing what is there already costs nothing; a running agent is left alone. `for_start`: see `rpc.coming`.
    """
    name = link.host.name
    _check(found, name)
    python = found.best_python()
    if python is None:
        python = await _place_runtime(link, found, builder, say)
    target = found.target(python.version[:2], python.abi)
    say("preparing the agent")
    chosen = await builder.bundle(target)
    folder = f"{found.paths.bundles}/{chosen.id}"
    request: dict[str, Any] = {}
    if folder not in found.placed:
        _check_space(found, name, chosen.size)
        part = f"{folder}.{id(link):x}.part"
        await upload(link, chosen.path, part, _told(say, "sending the agent"))
        request["unpack"] = [{"part": part, "sha256": chosen.id, "folder": folder}]
    if start:
        request["start"] = _start(found, python, folder) | ({"coming": _coming(found)} if for_start else {})
    request["tidy"] = {"placed": str(found.paths.bundles), "keep": [chosen.id]}
    say("starting the agent" if start else "unpacking the agent")
    await on_host(link, python.path, request)
    return Placed(python.path, folder)


async def place_layer(link: Connection, found: Found, builder: Builder, name: str, say: Callable[[str], None]) -> None:
    """Places libraries beside the agent, which finds them there when it needs them next; older ones of the same name
    that nothing uses any more go. Raises LinkError."""
    python = found.best_python() or await _place_runtime(link, found, builder, say)
    target = found.target(python.version[:2], python.abi)
    say(f"preparing what {name} needs")
    chosen = await builder.layer(name, target)
    # Those for another Python stay: the agent may still run by it.
    layers, prefix = f"{found.paths.state}/layers", f"{name}-{target.abi}-"
    folder = f"{layers}/{prefix}{chosen.id}"
    _check_space(found, link.host.name, chosen.size)
    part = f"{folder}.{id(link):x}.part"
    await upload(link, chosen.path, part, _told(say, f"sending what {name} needs"))
    unpack = [{"part": part, "sha256": chosen.id, "folder": folder}]
    tidy = {"placed": layers, "keep": [f"{prefix}{chosen.id}"], "newest": 0, "prefix": prefix}
    await on_host(link, python.path, {"unpack": unpack, "tidy": tidy})


def _coming(found: Found) -> str:
    return str(coming.path(found.paths.state))


def _start(found: Found, python: Python, folder: str) -> dict[str, Any]:
    environ = {"BLACKHOLE_HOME": found.base} if found.base else {}
    places = {"run": str(found.paths.run), "logs": str(found.paths.logs)}
    return {"python": python.path, "library": folder, "environ": environ, **places}


def _check(found: Found, name: str) -> None:
    if found.os != "Linux":
        raise LinkError(
            LinkState.FAILED, f"cannot run the agent on {name}: it is {found.os}, not Linux", "leave it out"
        )
    try:
        found.target((3, 11))
    except ValueError as error:
        raise LinkError(
            LinkState.FAILED, f"cannot run the agent on {name}: {error}", "glibc and musl are known"
        ) from None


def _check_space(found: Found, name: str, size: int) -> None:
    """Refuses before anything is sent. Raises LinkError."""
    if not found.writable:
        raise LinkError(
            LinkState.FAILED,
            f"cannot place the agent on {name}: no permission to write in {found.near} (user id {found.uid})",
            f"make {found.paths.state} writable for this user, or set home: in hosts.yaml",
        )
    need = size * _ROOM
    if found.free_bytes is not None and found.free_bytes < need:
        raise LinkError(
            LinkState.FAILED,
            f"cannot place the agent on {name}: no space left in {found.near}: {found.free_bytes >> 20} MiB free, "
            f"{need >> 20} MiB needed",
            "free some space there, or set home: in hosts.yaml to a larger file system",
        )


def _told(say: Callable[[str], None], what: str) -> Progress:
    last = -1

    def progress(sent: int, total: int) -> None:
        nonlocal last
        percent = 100 * sent // max(total, 1)
        if percent != last:
            last = percent
            say(f"{what}: {percent} %")

    return progress


async def _place_runtime(link: Connection, found: Found, builder: Builder, say: Callable[[str], None]) -> Python:
    """Sends a Python and says where it is. With none on the host, sh, sha256sum and tar check and unpack it."""
    name = link.host.name
    chosen = runtime.choose(found, name, builder.cache)
    digest = await asyncio.to_thread(chosen.digest)
    folder = f"{found.paths.state}/runtimes/{digest}"
    path = f"{folder}/python/bin/python3"
    if folder not in found.placed:
        _check_space(found, name, chosen.path.stat().st_size)
        part = f"{folder}.{id(link):x}.part"
        await upload(link, chosen.path, part, _told(say, "sending a Python"))
        code, output, errors = await execute(link, f"sh -c {shlex.quote(_unpack(part, digest, folder))}", timeout=120)
        if code:
            said = (errors or output).strip().splitlines()
            text = said[-1] if said else f"unpacking ended with code {code}"
            raise fault(link.host, "no-space" if "No space" in text else "damaged" if code == 65 else "failed", text)
    code, output, errors = await execute(link, shlex.join([path, "-I", "-c", "import sqlite3, ssl; print(1)"]))
    if code or output.strip().splitlines()[-1:] != ["1"]:
        said = (errors or output).strip().splitlines()
        raise LinkError(
            LinkState.FAILED,
            f"cannot run the Python that was placed on {name}: {said[-1] if said else f'it ended with code {code}'}",
            f"{chosen.path.name} does not fit this host; replace it by a build for {found.machine}, {found.libc}",
        )
    return Python(path, (*chosen.version, 0))


def _unpack(part: str, digest: str, folder: str) -> str:
    """POSIX sh: check, unpack beside, rename."""
    q = shlex.quote
    half = f"{part}.d"
    return (
        f"umask 077; export LC_ALL=C; trap {q(f'rm -rf {q(half)} {q(part)}')} EXIT; "
        f'sum=$(sha256sum < {q(part)}) || exit 1; [ "${{sum%% *}}" = {digest} ] || '
        "{ echo 'the archive arrived damaged: its SHA-256 is not the one that was sent' >&2; exit 65; }; "
        f"mkdir -p {q(half)} && tar -xzf {q(part)} -C {q(half)} || exit 1; "
        f"[ -d {q(folder)} ] || mv {q(half)} {q(folder)}"
    )
