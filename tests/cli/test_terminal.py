"""What a person at a terminal sees: a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bhtui.cli.demo import sshd
from tests.waiting import eventually

from .conftest import Home
from .fake_agent import FakeAgent


class Terminal:
    """A program on a pseudo-terminal; `text` is everything it wrote."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self.text = ""
        self._master = master
        os.set_blocking(master, False)
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.text += os.read(self._master, 65536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def shows(self, pattern: str) -> None:
        await eventually(lambda: re.search(pattern, self.text, re.DOTALL), what=f"{pattern!r} in {self.text!r}")

    async def ends(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def terminal(home: Home, *words: str) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    home.environ |= {"TERM": "xterm-256color", "LINES": "24", "COLUMNS": "80"}
    process = await home.start(*words, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = Terminal(process, master)
    try:
        yield shown
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)


async def test_progress_is_redrawn_in_place(home: Home, agent: FakeAgent) -> None:
    agent.hold.clear()
    async with terminal(home, "start", "identity", "api") as shown:
        await shown.shows(r"✓ \[1/2\] start identity-1: done")
        await shown.shows(r"· \[2/2\] start api-1: pending")
        agent.hold.set()
        assert await shown.ends() == 0
        await shown.shows(r"\x1b\[2A.*✓ \[2/2\] start api-1: done")
        await shown.shows("start identity api done in")


async def test_status_is_coloured_and_watch_redraws(home: Home, agent: FakeAgent) -> None:
    async with terminal(home, "status") as shown:
        assert await shown.ends() == 0
        await shown.shows(r"\x1b\[32m● running\x1b\[0m")
    home.environ["NO_COLOR"] = "1"
    async with terminal(home, "status") as shown:
        assert await shown.ends() == 0
        await shown.shows("● running")
        assert "\x1b" not in shown.text
    async with terminal(home, "status", "--watch") as shown:
        await shown.shows(r"\x1b\[H\x1b\[J.*INSTANCE")


async def test_a_terminal_gets_the_newest_lines_of_a_log(home: Home, agent: FakeAgent) -> None:
    async with terminal(home, "logs", "--follow") as shown:
        await shown.shows("line 5")
        shown.type("\x03")  # Ctrl-C is not a signal here: the terminal is not the program's own
        shown.process.send_signal(signal.SIGINT)
        assert await shown.ends() == 130
        assert "Traceback" not in shown.text


async def test_the_name_of_a_production_host_is_typed(home: Home) -> None:
    await asyncio.to_thread(sshd.up, home.path)
    file = home.path / "hosts.yaml"
    file.write_text(file.read_text().replace("{demo: {}}", "{demo: {production: true}}"))
    home.environ["XDG_CACHE_HOME"] = str(home.path / "cache")
    agent = FakeAgent()
    try:
        async with agent.serving(home.run_dir):
            async with terminal(home, "stop", "api", "--host", "demo") as shown:
                await shown.shows(r"1\. stop api-1")
                await shown.shows("type demo to do this")
                shown.type("yes\n")
                assert await shown.ends() == 5
                await shown.shows("nothing was changed")
            assert not agent.begun
            async with terminal(home, "stop", "api", "--host", "demo", "--output", "json") as shown:
                await shown.shows("type demo to do this")
                shown.type("demo\n")
                assert await shown.ends() == 0
                await shown.shows(r'"state": "done"')
            assert json.dumps([each.WhichOneof("request") for each in agent.begun]) == '["stop"]'
    finally:
        await asyncio.to_thread(sshd.down, home.path)
