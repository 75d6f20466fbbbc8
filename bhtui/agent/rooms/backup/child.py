"""Runs the engine: a child process for each thing that is asked of it, at low priority, ended when nobody waits for it.

The agent never does the work itself: hashing would make health checks late, and libraries and indexes would stay in its
memory. One JSON line goes to the child's standard input, which then stays open: its end tells the child to end, also
when the agent was killed. Lines of JSON come back: `progress`, `note`, and at last `done` or `failed`. The password
goes through the pipe alone: arguments and environment can be read by others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bhtui.core.backup import StorageSpec
from bhtui.core.errors import BlackholeError

from .failures import Incapable, failure

log = logging.getLogger(__name__)

MODULE = "bhtui.agent.rooms.backup.engine"
NICE = 10
STALL_SECONDS = 1800.0
"""A child that says nothing for so long is stuck. Longer than a slow line takes for the packs that are under way."""
END_SECONDS = 3.0
"""What a child has to end when it is not needed any more, before it is killed. Less than a step has to be cancelled."""
LINE_LIMIT = 64 << 20
"""Bytes of the longest line: the list of a large folder."""
NOTES = 100
"""Notes that are kept; the rest is counted."""
WORDS = {
    "backup": "back up", "init": "make the repository", "files": "list the files", "snapshots": "list the backups",
    "diff": "compare the backups", "stats": "count what the repository holds", "locks": "list the locks",
    "key_list": "list the keys", "key_add": "add the key", "key_remove": "remove the key",
    "key_change": "change the password", "heal": "heal the repository", "repair": "repair the repository",
    "verify": "check the backups", "prune": "prune the repository", "forget": "forget the backups",
    "unlock": "unlock the repository",
}  # fmt: skip
"""What a person calls a verb of the engine, where it is not the same."""
NEEDED = ("cryptography", "zstandard", "pyfastcdc", "obstore")
"""What the engine imports, and an agent that was just placed lacks."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What it takes to open a repository."""

    storage: StorageSpec
    password: str = field(repr=False)
    bandwidth: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the child has come; totals are 0 until they are known."""

    phase: str = ""
    bytes: int = 0
    bytes_total: int = 0
    files: int = 0
    files_total: int = 0
    current: str = ""


@dataclass
class Notes:
    """What went not quite well: files that could not be read, or changed while they were."""

    first: list[str] = field(default_factory=list)
    count: int = 0
    left_out: str = ""
    """The first that could not be read."""
    unlocked: list[str] = field(default_factory=list)
    """Whose locks were removed, as nobody stood behind them any more."""

    def add(self, note: Mapping[str, Any]) -> None:
        self.count += 1
        text = f"{note.get('path', '')}: {note.get('problem', '')}"
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if note.get("is_left_out") and not self.left_out:
            self.left_out = text
        if len(self.first) < NOTES:
            self.first.append(text)


class Engine:
    """Children of one kind. `cache` is a folder for what need not be fetched twice; `layer` one with its libraries."""

    def __init__(
        self,
        cache: Path,
        layer: Callable[[], str] = lambda: "",
        program: Sequence[str] = (sys.executable, "-P", "-m", MODULE),
        stall: float = STALL_SECONDS,
    ) -> None:
        self._cache, self._layer, self._program, self._stall = cache, layer, tuple(program), stall

    async def run(
        self,
        verb: str,
        opening: Opening,
        arguments: Mapping[str, Any] | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        notes: Notes | None = None,
    ) -> dict[str, Any]:
        """What the engine answers. Raises what `failures` has; when this is cancelled, the child ends."""
        request = {
            "do": verb,
            "storage": {key: value for key, value in asdict(opening.storage).items() if value not in ("", None)},
            "password": opening.password,
            "cache": str(self._cache),
            "bandwidth": opening.bandwidth,
            **(arguments or {}),
        }
        process = await self._begin()
        said = asyncio.create_task(_tail(process), name="what the engine complains of")
        try:
            _lower(process.pid)
            await _tell(process, request)
            return await self._listen(WORDS.get(verb, verb), process, progress, notes or Notes(), said)
        finally:
            await _end(process)
            said.cancel()
            await asyncio.gather(said, return_exceptions=True)

    async def _begin(self) -> Process:
        environ = dict(os.environ)
        environ.pop("BLACKHOLE_BACKUP_PASSWORD", None)
        if layer := self._layer():
            environ["PYTHONPATH"] = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), layer)))
        try:
            return await asyncio.create_subprocess_exec(
                *self._program, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=LINE_LIMIT, start_new_session=True,
                env=environ,
            )  # fmt: skip
        except OSError as error:
            raise BlackholeError(f"cannot start the backup engine: {error.strerror}; {self._program[0]}") from None

    async def _listen(
        self,
        what: str,
        process: Process,
        progress: Callable[[Progress], None],
        notes: Notes,
        said: asyncio.Task[str],
    ) -> dict[str, Any]:
        assert process.stdout is not None
        while True:
            try:
                line = await asyncio.wait_for(process.stdout.readline(), self._stall)
            except TimeoutError:
                raise BlackholeError(
                    f"cannot {what}: the backup engine said nothing for {self._stall:.0f} s and was ended; "
                    "see whether the storage answers, and try again"
                ) from None
            except ValueError:
                raise BlackholeError(f"cannot {what}: the answer of the engine is too long; ask for less") from None
            if not line:
                raise await _ended(what, process, said)
            told = _parsed(line)
            if (seen := told.get("progress")) is not None:
                progress(Progress(**{key: seen[key] for key in Progress.__dataclass_fields__ if key in seen}))
            elif (note := told.get("note")) is not None:
                notes.add(note)
            elif (gone := told.get("unlocked")) is not None:
                notes.unlocked.append(str(gone))
            elif (done := told.get("done")) is not None:
                return dict(done)
            elif (failed := told.get("failed")) is not None:
                raise failure(str(failed.get("code")), str(failed.get("message")))


def _parsed(line: bytes) -> dict[str, Any]:
    """What a line says; what is no JSON object (a library that prints) says nothing."""
    try:
        told = json.loads(line)
    except ValueError:
        log.warning("the backup engine wrote %r", line[:200])
        return {}
    return told if isinstance(told, dict) else {}


def _lower(pid: int) -> None:
    """Services go first: for the CPU, and for the disk where its scheduler knows that."""
    with contextlib.suppress(OSError, psutil.Error):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
        psutil.Process(pid).ionice(psutil.IOPRIO_CLASS_BE, 7)


async def _tell(process: Process, request: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended already; its output says why
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()


async def _tail(process: Process) -> str:
    """The last lines that it complains with."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(65536):
        kept = (kept + chunk)[-4096:]
    return kept.decode(errors="replace").strip()


async def _ended(what: str, process: Process, said: asyncio.Task[str]) -> BlackholeError:
    """Why a child has ended without an answer."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(process.wait(), asyncio.shield(said)), END_SECONDS)
    text = said.result() if said.done() and not said.cancelled() else ""
    last = text.splitlines()[-1] if text else ""
    if missing := next((name for name in NEEDED if f"No module named '{name}" in last), ""):
        return Incapable(
            f"cannot {what}: the agent of this host lacks the library {missing}; `blackhole --host HOST backup list` "
            "from the machine that placed the agent places what backups need"
        )
    log.error("the backup engine ended with %s: %s", process.returncode, text)
    code = process.returncode or 0
    how = f"signal {-code}" if code < 0 else f"exit {code}"
    memory = "; the host may be out of memory" if code == -signal.SIGKILL else ""
    detail = f": {last}" if last else ""
    return BlackholeError(f"cannot {what}: the backup engine ended with {how}{detail}{memory}; try again")


async def _end(process: Process) -> None:
    """Lets it take its lock away, then kills what is left of it and its workers."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(process.wait()), END_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process._transport.close()  # type: ignore[attr-defined]
    await asyncio.shield(process.wait())
