"""A real Redis: saved, taken, and started from what was taken."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bhtui.agent.rooms.backup.preparing import standins
from bhtui.agent.rooms.backup.preparing.redis import Client, Redis
from bhtui.core.backup import RedisBackup
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ServiceSpec
from tests.live import require
from tests.ports import free_port
from tests.waiting import eventually, until

from .taking import stage, take, work

SERVICE = ServiceSpec("cache", ("redis-server",))


@contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    require.program("redis-server")
    folder.mkdir(exist_ok=True)
    port = free_port()
    argv = ["redis-server", "--port", str(port), "--dir", str(folder), "--save", "", *options]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0

        until(answers, 20, "Redis answers")
        yield port
    finally:
        process.kill()
        process.wait()


async def ask(port: int, *words: str, spec: RedisBackup | None = None) -> object:
    async with Client(spec or RedisBackup(f"127.0.0.1:{port}")) as client:
        for _ in range(100):
            try:
                return await client.ask(*words)
            except BlackholeError as error:
                if "LOADING" not in str(error):
                    raise
                await asyncio.sleep(0.05)
    raise AssertionError("still loading")


async def _is_rewritten(port: int) -> bool:
    """A moment ago it may have been only scheduled."""
    said = await ask(port, "INFO", "persistence")
    return "aof_rewrite_in_progress:0" in said and "aof_rewrite_scheduled:0" in said


@pytest.mark.parametrize("append", ["yes", "no"])
async def test_what_is_taken_starts_again_with_all_keys(tmp_path: Path, append: str) -> None:
    live = tmp_path / "live"
    with server(live, "--appendonly", append) as port:
        for number in range(50):
            await ask(port, "SET", f"key-{number}", "x" * 1000)
        preparation, job = Redis(RedisBackup(f"127.0.0.1:{port}"), 30.0), work(SERVICE, live)
        prepared = await preparation.before(job)
        await ask(port, "SET", "key-after", "1")
        if append == "yes":
            await ask(port, "BGREWRITEAOF")  # removes the files that were linked
            await eventually(lambda: _is_rewritten(port), what="the rewrite has ended")
        take(prepared, job.paths, tmp_path / "snapshot")
        await preparation.after(job, prepared.learned, True)
        assert not list(live.rglob(f"*{standins.SUFFIX}"))
    staged = stage(live, tmp_path / "snapshot", tmp_path / "staged")
    await preparation.restored(job, {str(live): str(staged)}, 0)
    with server(staged, "--appendonly", append) as port:
        assert await ask(port, "DBSIZE") in ("50", "51")
        assert await ask(port, "GET", "key-49") == "x" * 1000


async def test_a_password_is_used_and_not_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    with server(tmp_path / "live", "--requirepass", "sesame") as port:
        spec = RedisBackup(f"127.0.0.1:{port}", password_file=str(secret))
        secret.write_text("wrong-word\n")
        with pytest.raises(BlackholeError, match="refuses AUTH") as error:
            await Redis(spec, 5.0).before(work(SERVICE, tmp_path / "live"))
        assert "wrong-word" not in str(error.value)
        secret.write_text("sesame\n")
        assert (await Redis(spec, 30.0).before(work(SERVICE, tmp_path / "live"))).note == "Redis saved"


async def test_a_save_that_fails_fails_the_backup(tmp_path: Path) -> None:
    live = tmp_path / "live"
    with server(live) as port:
        await ask(port, "SET", "a", "1")
        shutil.rmtree(live)
        with pytest.raises(BlackholeError, match="could not save"):
            await Redis(RedisBackup(f"127.0.0.1:{port}"), 30.0).before(work(SERVICE, live))
    with pytest.raises(BlackholeError, match="cannot ask Redis"):
        await Redis(RedisBackup(f"127.0.0.1:{port}"), 5.0).before(work(SERVICE, live))
