"""The process that tries a service: `python -m bhtui.agent.trial.child`. A line of JSON in, one out.

It leaves the host's namespaces and forks; that child is the first process of the new ones, starts the service, asks its
probe, and ends, which ends everything in there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bhtui.agent import command
from bhtui.agent.foreground import become
from bhtui.agent.keeper import LogSpec, SpawnRequest
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ProbeKind, ProbeSpec

from . import sandbox
from .model import Tried

LOOK = 0.25
"""Seconds between two looks."""
SETTLE = 2.0
"""Seconds that a service without a probe must run."""
TAIL = 4000
"""Bytes of its output that are told."""


def main() -> int:
    """The whole life."""
    parent = os.getppid()
    sandbox.end_with(parent)
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    output = Path(asked["folder"]) / "output"
    try:
        sandbox.leave()
    except OSError as error:
        return _say(Tried(f"cannot be started apart from the host here: {error.strerror or error}"))
    child = os.fork()
    if child == 0:
        # Its parent is outside of its processes, and seen as 0.
        sandbox.end_with(0)
        os._exit(_first(asked, output))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _say(Tried(f"the trial was killed by signal {-code}"))


def _first(asked: Mapping[str, Any], output: Path) -> int:
    """The first process in there."""
    with output.open("wb") as log:
        try:
            scratch = Path(asked["folder"]) / "layers"
            scratch.mkdir()
            sandbox.furnish([(source, target) for source, target in asked["places"]], scratch)
            request = _request(asked["spawn"])
        except (OSError, BlackholeError) as error:
            return _say(Tried(f"cannot be started apart from the host: {error}"))
        service = os.fork()
        if service == 0:
            _become(request, log.fileno())
        log.flush()
        probe = asked["probe"]
        spec = ProbeSpec(**{**probe, "kind": ProbeKind(probe["kind"]), "command": tuple(probe["command"])})
        # By its descriptor: its path is below a layer by now.
        written = Path(f"/proc/self/fd/{log.fileno()}")
        trial = _Trial(asked["name"], service, request, spec, asked["contract"], written, asked["timeout"])
        return _say(asyncio.run(trial.run()))


def _become(request: SpawnRequest, log: int) -> None:
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        become(request)
    except (OSError, ValueError) as error:
        os.write(2, f"cannot be started: {error}\n".encode())
    os._exit(127)


class _Trial:
    def __init__(
        self, name: str, pid: int, request: SpawnRequest, probe: ProbeSpec, contract: str, output: Path, timeout: float
    ) -> None:
        self._name, self._pid, self._request, self._probe = name, pid, request, probe
        self._contract, self._output, self._timeout = contract, output, timeout

    async def run(self) -> Tried:
        """Until it is well, has ended, or its time is over."""
        began = time.monotonic()
        problem = await self._well(began + self._timeout)
        seconds = time.monotonic() - began
        if problem:
            return Tried(problem, seconds, output=_tail(self._output))
        if not self._contract:
            return Tried(seconds=seconds)
        try:
            problem, checked = await self._verified(max(began + self._timeout - time.monotonic(), 1.0))
        except BlackholeError as error:
            problem, checked = str(error), 0
        return Tried(problem, seconds, checked, _tail(self._output) if problem else "")

    async def _well(self, deadline: float) -> str:
        """Why it is not well; empty: it is."""
        ask = self._asker()
        well, last = 0, "it was not asked yet"
        while time.monotonic() < deadline:
            if ended := self._ended():
                return ended
            try:
                async with asyncio.timeout(self._probe.timeout):
                    ok, detail = await ask()
            except TimeoutError:
                ok, detail = False, f"no answer within {self._probe.timeout:g} s"
            well, last = (well + 1, last) if ok else (0, detail)
            if well >= self._probe.successes:
                return self._ended()
            await asyncio.sleep(LOOK)
        return f"it was not well within {self._timeout:g} s: {last}"

    def _asker(self) -> Any:
        if self._probe.kind is ProbeKind.NONE:
            settled = time.monotonic() + SETTLE
            return lambda: _now(time.monotonic() >= settled, "it runs")
        if self._probe.kind is ProbeKind.LOG:
            pattern = re.compile(self._probe.target.encode())
            return lambda: _now(bool(pattern.search(self._output.read_bytes())), "its line has not come")
        from bhtui.agent.rooms.health.room import make

        probe = make(self._name, self._probe, self._output, 0, self._here)

        async def ask() -> tuple[bool, str]:
            result = await probe.ask()
            return result.ok, result.detail

        return ask

    async def _here(self) -> command.Setting:
        r = self._request
        return command.Setting(r.env, r.cwd or "/", r.uid, r.gid, r.groups, 0o022 if r.umask is None else r.umask)

    async def _verified(self, timeout: float) -> tuple[str, int]:
        from bhtui.agent.rooms.backup.preparing.contract import verify

        problems, checked = await verify(self._name, self._contract, timeout)
        return (f"its own check finds: {'; '.join(problems[:3])}" if problems else ""), checked

    def _ended(self) -> str:
        found, status = os.waitpid(self._pid, os.WNOHANG)
        if not found:
            return ""
        code = os.waitstatus_to_exitcode(status)
        return f"it ended with exit {code}" if code >= 0 else f"it was killed by signal {-code}"


async def _now(ok: bool, detail: str) -> tuple[bool, str]:
    return ok, detail


def _request(said: Mapping[str, Any]) -> SpawnRequest:
    log = LogSpec(os.devnull)
    groups, cgroups = said.get("groups"), ()
    named = {**said, "argv": tuple(said["argv"]), "log": log, "cgroups": cgroups}
    return SpawnRequest(**{**named, "groups": tuple(groups) if groups is not None else None})


def _tail(output: Path) -> str:
    try:
        raw = output.read_bytes()[-TAIL:]
    except OSError:
        return ""
    return raw.decode("utf-8", "replace").strip()


def _say(tried: Tried) -> int:
    said = {name: getattr(tried, name) for name in Tried.__dataclass_fields__}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
