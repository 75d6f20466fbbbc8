"""A home with a fake agent, and the real program run against it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .fake_agent import FakeAgent


@dataclass
class Ran:
    """A command line that has ended."""

    code: int
    out: str
    err: str


class Home:
    """BLACKHOLE_HOME of a test, and `blackhole` in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_dir = path / "run"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            "BLACKHOLE_HOME": str(path),
            "PYTHONUTF8": "1",
        }

    async def start(self, *words: str, **more: Any) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        given: dict[str, Any] = {"stdin": asyncio.subprocess.DEVNULL, "stdout": pipe, "stderr": pipe} | more
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bhtui.cli.main", *words, env=self.environ, **given
        )

    async def blackhole(self, *words: str) -> Ran:
        process = await self.start(*words)
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            out, err = await process.communicate()
            raise AssertionError(f"{words} did not end; it said {out!r} {err!r}") from None
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture
def home() -> Iterator[Home]:
    """Short, for the sockets in it."""
    with tempfile.TemporaryDirectory(prefix="bh-", dir="/tmp") as name:
        yield Home(Path(name))


@pytest.fixture
async def agent(home: Home) -> AsyncIterator[FakeAgent]:
    fake = FakeAgent()
    async with fake.serving(home.run_dir):
        yield fake
