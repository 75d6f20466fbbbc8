"""Redis: a fresh snapshot file, and the append-only files as they stand together.

BGSAVE writes `dump.rdb` anew and renames it, so that whoever reads it reads one state. The append-only files (since
Redis 7 a manifest and the files it names) are linked beside themselves, which takes an instant and keeps them from
being removed by a rewrite; what is appended meanwhile does no harm, for Redis cuts an incomplete end off.
https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bhtui.core.backup import RedisBackup
from bhtui.core.errors import BlackholeError

from ..model import Prepared, Work
from . import standins

ANSWER = 10.0
"""Seconds for one answer."""
LOOK = 0.2
"""Seconds between two looks at a save that goes on."""
TRIES = 5
"""How often the append-only files are linked again when a rewrite came between."""


class Redis:
    """Asks one server, at its address."""

    name = "have Redis save"

    def __init__(self, spec: RedisBackup, timeout: float) -> None:
        self._spec, self._timeout = spec, timeout

    async def before(self, work: Work) -> Prepared:  # noqa: ARG002
        """Raises BlackholeError."""
        try:
            async with asyncio.timeout(self._timeout), Client(self._spec) as client:
                await _save(client)
                folder = Path((await client.config("dir")) or "/")
                append = await client.config("appendonly") == "yes"
                name = await client.config("appenddirname") if append else ""
        except TimeoutError as error:
            raise BlackholeError(
                f"Redis at {self._spec.address} did not finish saving within {self._timeout:g} s"
            ) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise BlackholeError(f"cannot ask Redis at {self._spec.address}: {str(error) or 'it hung up'}") from error
        if not name:
            return Prepared(note="Redis saved")
        live = folder / name
        copy = await asyncio.to_thread(_link, live)
        return Prepared(
            excludes=(standins.excluded(live),),
            learned={"copy": str(copy)},
            note="Redis saved, append-only files linked",
        )

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:  # noqa: ARG002
        """Removes the links; after a crash those that are found."""
        copies = [learned["copy"]] if "copy" in learned else [str(one) for one in _left_over(work.paths)]
        await asyncio.to_thread(standins.remove, copies)

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:  # noqa: ARG002
        """Puts the append-only files in place."""
        for folder in dict.fromkeys(staged.values()):
            await asyncio.to_thread(standins.put_in_place, Path(folder))


class Client:
    """Speaks RESP with one server. https://redis.io/docs/latest/develop/reference/protocol-spec/"""

    def __init__(self, spec: RedisBackup) -> None:
        self._spec = spec

    async def __aenter__(self) -> Client:
        address = self._spec.address
        if address.startswith("unix:"):
            self._reader, self._writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            self._reader, self._writer = await asyncio.open_connection(host.strip("[]"), int(port))
        if self._spec.password_file:
            with standins.told(f"read the password of Redis in {self._spec.password_file}"):
                password = Path(self._spec.password_file).read_text(encoding="utf-8").rstrip("\n")
            await self.ask("AUTH", *([self._spec.user] if self._spec.user else []), password)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, *words: str) -> Any:
        """The answer to a command. Raises BlackholeError when it is an error; its text never holds an argument."""
        parts = [word.encode() for word in words]
        self._writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in parts))
        async with asyncio.timeout(ANSWER):
            await self._writer.drain()
            return await self._answer(words[0])

    async def config(self, name: str) -> str:
        """A setting of the server; empty: it does not know it."""
        answer = await self.ask("CONFIG", "GET", name)
        return str(answer[1]) if isinstance(answer, list) and len(answer) == 2 else ""

    async def info(self, section: str) -> dict[str, str]:
        """What the server says of itself."""
        lines = str(await self.ask("INFO", section)).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    async def _answer(self, command: str) -> Any:
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "replace")
        kind, rest = line[:1], line[1:]
        if kind == "-":
            raise BlackholeError(f"Redis at {self._spec.address} refuses {command}: {rest}")
        if kind in "+:":
            return rest
        if kind == "$":
            if int(rest) < 0:
                return None
            return (await self._reader.readexactly(int(rest) + 2))[:-2].decode("utf-8", "replace")
        if kind == "*":
            return [await self._answer(command) for _ in range(int(rest))]
        raise BlackholeError(f"what answers at {self._spec.address} is not Redis")


async def _save(client: Client) -> None:
    """A save that began after now has ended well. Raises BlackholeError."""
    await _idle(client)
    try:
        await client.ask("BGSAVE")
    except BlackholeError as error:
        if "in progress" not in str(error):
            raise
        await client.ask("BGSAVE", "SCHEDULE")
    said = await _idle(client)
    if said.get("rdb_last_bgsave_status") != "ok":
        raise BlackholeError("Redis could not save; its log says why (disk full, or no memory for a second process?)")


async def _idle(client: Client) -> dict[str, str]:
    """What the server says of its files, once no save goes on."""
    while True:
        said = await client.info("persistence")
        if said.get("rdb_bgsave_in_progress") != "1":
            return said
        await asyncio.sleep(LOOK)


def _link(live: Path) -> Path:
    """Hard links of all append-only files, all of one moment. Raises BlackholeError."""
    copy = standins.beside(live)
    for _ in range(TRIES):
        standins.remove([copy])
        with standins.told(f"link the append-only files in {live}"):
            before = sorted(each.name for each in live.iterdir())
            copy.mkdir(mode=0o700)
            standins.like(copy, live)
            try:
                for name in before:
                    os.link(live / name, copy / name)
            except FileNotFoundError:
                continue  # a rewrite has removed it: once more
            if sorted(each.name for each in live.iterdir()) == before:
                return copy
    standins.remove([copy])
    raise BlackholeError(f"cannot link the append-only files in {live}: they are rewritten all the time")


def _left_over(paths: tuple[str, ...]) -> list[Path]:
    return [found for path in paths for found in Path(path).glob(f"*{standins.SUFFIX}")]
