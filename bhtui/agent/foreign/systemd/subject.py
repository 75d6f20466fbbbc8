"""One unit as the supervisor asks and observes it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhtui.agent.foreign.model import NOTHING, Hold, Observation
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import LimitsSpec, RateSpec, RotateSpec
from bhtui.core.states import State

from . import limits as properties
from . import restarts as windows
from .bus import SYSTEMD, BusError, BusLost
from .refusals import job_failed, refused, unmet_condition
from .unit import observation

if TYPE_CHECKING:
    from .manager import Scope

log = logging.getLogger(__name__)

SIGKILL = 9
LOOKS = 3
UP = frozenset({State.STARTING, State.RUNNING})
CGROUP2 = Path("/sys/fs/cgroup")
INTERFACES = {
    "service": "Service", "socket": "Socket", "mount": "Mount", "swap": "Swap", "slice": "Slice", "scope": "Scope",
    "timer": "Timer", "path": "Path", "target": "Target",
}  # fmt: skip
"""What a type of unit calls the properties of its own."""
WITH_PROCESSES = ("service", "socket", "mount", "swap", "slice", "scope")


class UnitSubject:
    """One unit. What it is asked it asks systemd; nothing of it is known but what systemd says."""

    def __init__(self, scope: Scope, unit: str, changed: Callable[[], None]) -> None:
        self.unit, self._scope, self._changed = unit, scope, changed
        """`unit` is its own name, once that is known: what was declared may be another name of it."""
        self._path = object_path(unit)
        self._watching = False
        self._own_jobs: set[str] = set()
        self._jobs: list[str] | None = None
        """Jobs that ended since it was last seen up; None: it was not seen up yet."""
        self._run = ""
        self._wants_log: tuple[Path, RotateSpec, RateSpec] | None = None

    def on_changed(self) -> None:
        """systemd says that something of it is otherwise."""
        self._changed()

    def on_job(self, job: str) -> None:
        """A job for it has ended."""
        if self._jobs is not None:
            self._jobs = [*self._jobs[-8:], job]
        self._changed()

    # ---- how it is -------------------------------------------------------------------------------------------------

    async def observe(self, restarts: Mapping[str, Any] = NOTHING) -> Observation:
        try:
            p = await self._properties()
        except BusLost as error:
            return Observation(None, text=f"cannot ask systemd about {self.unit}: {error}")
        except BusError as error:
            return Observation(None, text=refused("ask about", self.unit, self._scope.name, error.name, error.text))
        ended = None if self._jobs is None else any(job not in self._own_jobs for job in self._jobs)
        ahead = time.time_ns() - time.monotonic_ns()
        seen = observation(self.unit, self._scope.name, p, ended, windows.would_restart(restarts, p), ahead)
        if seen.state in UP:
            self._jobs = []
            self._own_jobs.clear()
        self._run = seen.run or self._run
        return seen

    async def _properties(self) -> dict[str, Any]:
        if not self._watching:
            await self._scope.watch(self._path, self)
            self._watching = True
        await self._scope.keep(self.unit)
        for _ in range(LOOKS):
            p = await self._read()
            if is_of_one_moment(p):
                break
        return p

    async def _read(self) -> dict[str, Any]:
        p = await self._scope.properties(self._path, f"{SYSTEMD}.Unit")
        if (own := p.get("Id") or self.unit) != self.unit:  # only of its own name do signals and log entries speak
            self._scope.forget(self._path, self)
            self.unit, self._path = own, object_path(own)
            await self._scope.watch(self._path, self)
            await self._scope.keep(self.unit)
        self._open_log()
        if kind := self._interface():
            p |= await self._scope.properties(self._path, kind)
        return p

    def _interface(self) -> str:
        kind = INTERFACES.get(self.unit.rpartition(".")[2], "")
        return f"{SYSTEMD}.{kind}" if kind else ""

    async def tail(self, count: int) -> tuple[str, ...]:
        return await self._scope.journal.tail(self._run, count) if self._run else ()

    def capture(self, path: Path, rotate: RotateSpec, rate: RateSpec) -> None:
        self._wants_log = (path, rotate, rate)
        if self._watching:
            self._open_log()

    def _open_log(self) -> None:
        if self._wants_log is not None:
            self._scope.journal.capture(self.unit, *self._wants_log)
            self._wants_log = None

    # ---- what it is asked ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self._job("start", "StartUnit")
        try:
            p = await self._properties()
        except (BusError, BusLost):
            return  # that it cannot be asked any more is observed
        if p.get("ActiveState") == "inactive" and (why := unmet_condition(p)):
            raise BlackholeError(f"cannot start {self.unit}: {why}")

    async def restart(self) -> None:
        await self._job("restart", "RestartUnit")

    async def _job(self, verb: str, method: str) -> None:
        try:
            result = await self._scope.job(method, self.unit, "replace", own=self._own_jobs)
            p = await self._properties() if result not in ("", "done") else {}
        except (BusError, BusLost) as error:
            raise self._refusal(verb, error) from None
        if result and (why := job_failed(verb, self.unit, self._scope.name, result, p)):
            raise BlackholeError(why)

    async def stop(self, grace: float | None) -> None:
        stopping = asyncio.ensure_future(self._job("stop", "StopUnit"))
        try:
            if grace is not None:
                await asyncio.wait([stopping], timeout=grace)
                if not stopping.done():  # with the job under way Restart= starts nothing anew
                    await self._kill("kill", "all", SIGKILL)
                    await stopping
                    await self._forgive()
            await stopping
        finally:
            stopping.cancel()

    async def _forgive(self) -> None:
        """That it was killed is no failure: somebody wanted it."""
        try:
            await self._scope.call("ResetFailedUnit", "s", self.unit)
        except (BusError, BusLost) as error:
            log.debug("%s stays among the failed units: %s", self.unit, error)

    async def signal(self, number: int) -> None:
        await self._kill("signal", "main", number)

    async def _kill(self, verb: str, who: str, number: int) -> None:
        try:
            await self._scope.call("KillUnit", "ssi", self.unit, who, number)
        except (BusError, BusLost) as error:
            if not (isinstance(error, BusError) and error.name.endswith("NoSuchProcess") and who == "all"):
                raise self._refusal(verb, error) from None

    def _refusal(self, verb: str, error: BusError | BusLost) -> BlackholeError:
        if isinstance(error, BusError):
            return BlackholeError(refused(verb, self.unit, self._scope.name, error.name, error.text))
        return BlackholeError(f"cannot {verb} {self.unit}: {error}")

    # ---- its restarts ----------------------------------------------------------------------------------------------

    async def restarts(self) -> Mapping[str, Any]:
        try:
            return windows.policy(await self._properties())
        except (BusError, BusLost) as error:
            raise self._refusal("see the restarts of", error) from None

    async def hold_restarts(self) -> None:
        try:
            await asyncio.to_thread(windows.write, self._scope.name, self.unit)
            await self._scope.reload()
            p = await self._properties()
            if p.get("SubState", "").startswith("auto-restart"):  # that one is on its way already
                await self._job("stop", "StopUnit")
        except OSError as error:
            raise BlackholeError(
                f"cannot hold the restarts of {self.unit}: {error.filename}: {error.strerror}; an agent of root can"
            ) from None
        except (BusError, BusLost) as error:
            raise self._refusal("hold the restarts of", error) from None
        if windows.policy(p):
            raise BlackholeError(
                f"cannot hold the restarts of {self.unit}: Restart= is set by a drop-in that comes after "
                f"{windows.NAME}; systemctl cat {self.unit}"
            )

    async def let_restarts(self, restarts: Mapping[str, Any]) -> None:  # noqa: ARG002 - systemd has kept them
        try:
            if await asyncio.to_thread(windows.remove, self._scope.name, self.unit):
                await self._scope.reload()
        except OSError as error:
            raise BlackholeError(
                f"cannot let systemd restart {self.unit} again: {error.filename}: {error.strerror}; remove it, and "
                "systemctl daemon-reload"
            ) from None
        except (BusError, BusLost) as error:
            raise self._refusal("let systemd restart", error) from None

    # ---- limits ----------------------------------------------------------------------------------------------------

    async def hold(self, limits: LimitsSpec, paths: Sequence[str], before: Mapping[str, Any]) -> Hold:
        wanted, back = properties.wanted(limits, paths), properties.lifted(limits, before)
        if not wanted and not back:
            return Hold(before=before)
        if self.unit.rpartition(".")[2] not in WITH_PROCESSES:
            return Hold(not_held=dict.fromkeys(wanted, f"{self.unit} has no processes of its own"), before=before)
        try:
            p = await self._properties()
        except (BusError, BusLost) as error:
            raise self._refusal("limit", error) from None
        kept = {**before}
        not_held: dict[str, str] = {}
        refusals: list[str] = []
        for name, values in {**back, **wanted}.items():
            for each in values:
                kept.setdefault(each, properties.before(each, p.get(each)))
            if why := await self._set(values):
                not_held[name] = why
                refusals += [name] if name in wanted else []
            elif name in back:
                kept = {each: value for each, value in kept.items() if each not in values}
        held = [name for name in wanted if name not in not_held]
        not_held |= self._unheld(held, p.get("ControlGroup", ""))
        held_by = properties.HELD_BY if any(name not in not_held for name in wanted) else ""
        return Hold(held_by, not_held, tuple(refusals), kept)

    async def _set(self, values: Mapping[str, Any]) -> str:
        """Sets properties until the next boot; why that was refused, or empty. Raises BlackholeError."""
        try:
            await self._scope.call("SetUnitProperties", "sba(sv)", self.unit, True, properties.to_bus(values))
        except BusError as error:
            return refused("limit", self.unit, self._scope.name, error.name, error.text).partition(": ")[2]
        except BusLost as error:
            raise self._refusal("limit", error) from None
        return ""

    def _unheld(self, names: Sequence[str], cgroup: str) -> dict[str, str]:
        """What systemd has taken, and the kernel does not hold."""
        group = CGROUP2 / cgroup.lstrip("/")
        if not cgroup or not (group / "cgroup.events").exists():  # it does not run, or this is cgroup v1
            return {}
        return properties.without_controller(names, group, self._scope.name)

    async def close(self) -> None:
        self._scope.forget(self._path, self)
        await self._scope.journal.release(self.unit)


def is_of_one_moment(p: Mapping[str, Any]) -> bool:
    """Whether it has not ended between the two questions: a unit that runs, without a process or with a result."""
    if p.get("ActiveState") != "active" or "Result" not in p:
        return True
    return p["Result"] == "success" and not (p.get("SubState") == "running" and p.get("MainPID") == 0)


def object_path(unit: str) -> str:
    """`/org/freedesktop/systemd1/unit/nginx_2eservice`: what is no letter or digit is written as its code."""
    escaped = "".join(
        c if c.isascii() and c.isalnum() and not (c.isdigit() and not at) else "".join(f"_{b:02x}" for b in c.encode())
        for at, c in enumerate(unit)
    )
    return f"/org/freedesktop/systemd1/unit/{escaped}"
