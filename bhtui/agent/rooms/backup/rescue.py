"""When data is in doubt: checked, repaired as far as that goes, cleaned up after a crash, or put aside for a new start.

The plans are pure; what they need to know of the supervisor is handed in.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from bhtui.agent.blocking import to_the_end
from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.core.errors import BlackholeError, NotFound, Refused
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.replica import instances
from bhtui.core.request import CheckDataRequest, CleanupServiceRequest, RescueRequest, ResetRequest
from bhtui.core.spec import ServiceSpec
from bhtui.core.units import counted, format_size

from . import datacheck, restoring, swap
from .model import Life
from .requests import LONGEST, data_of, with_data
from .restoring import EMPTY, SETTLE, SWAP
from .room import Backup
from .swap import Place, must_lie_within

CHECK, REPAIR, CLEANUP = "data.check", "data.repair", "data.cleanup"


@dataclass
class Around:
    """What is known of what runs; the wiring gives it."""

    running: Callable[[], Mapping[str, str]] = field(default=dict)
    """Instances that have a process, with the address of their contract or nothing."""
    members: Callable[[str], Sequence[int]] = lambda _: ()
    """Processes in the cgroup of an instance."""
    verify: Callable[[str, str], Awaitable[Sequence[str] | None]] | None = None
    """By contract: what is wrong; None: it does not offer that."""
    repair: Callable[[str, str], Awaitable[str | None]] | None = None


class Rescue:
    """Of the room, with what is around it."""

    def __init__(self, room: Backup, life: Life, around: Around) -> None:
        self._room, self._life, self.around = room, life, around

    def plan(self, request: RescueRequest) -> Plan:
        """Exactly what would run. Raises NotFound, UsageError, Refused."""
        match request:
            case CheckDataRequest():
                return self._check(request)
            case CleanupServiceRequest():
                return self._cleanup(request)
            case ResetRequest():
                return self._reset(request)

    def _check(self, request: CheckDataRequest) -> Plan:
        services = with_data(self._room.spec(), request.services, "repair" if request.repair else "verify")
        kind, word = (REPAIR, "repair") if request.repair else (CHECK, "check")
        steps = []
        for each in services:
            by = "by its contract" if self._asked(each.name) else "read every file, ask every SQLite database"
            title = f"{word} the data of {each.name}: {by}"
            steps.append(PlannedStep(kind, each.name, title, {}, (), LONGEST))
        claims = frozenset(f"service:{each.name}" for each in services) if request.repair else frozenset[str]()
        return Plan(
            "repair" if request.repair else "verify", tuple(each.name for each in services), tuple(steps), (), claims
        )

    def _cleanup(self, request: CleanupServiceRequest) -> Plan:
        spec = self._room.spec()
        if unknown := [name for name in request.services if name not in spec.services]:
            raise NotFound(f"cannot clean up {', '.join(unknown)}: no such service; see `blackhole status`")
        for name in request.services:
            if running := [each for each in self.around.running() if each.rpartition("-")[0] == name]:
                raise Refused(
                    f"cannot clean up {name}: {', '.join(running)} runs; `blackhole stop {name} --force` ends it first"
                )
        life, stops = self._life.around(request.services)
        mine = [step for step in life.steps[:stops] if step.target.rpartition("-")[0] in request.services]
        steps = [replace(_for_good(each), after=()) for each in mine]
        after = tuple(range(len(steps)))
        steps += [
            PlannedStep(CLEANUP, name, f"clean up after {name}: processes, dead sockets, half-done restores", {}, after)
            for name in request.services
        ]
        effects = tuple(f"`blackhole start {name}` starts it again" for name in request.services)
        claims = frozenset(f"service:{name}" for name in request.services)
        return Plan("cleanup", tuple(request.services), tuple(steps), effects, claims)

    def _reset(self, request: ResetRequest) -> Plan:
        """Stops, puts the data aside, and starts what was up with none."""
        services = with_data(self._room.spec(), request.services, "reset")
        names = tuple(each.name for each in services)
        life, stops = self._life.around(names)
        steps = [_for_good(each) for each in life.steps[:stops]]
        stopped = tuple(range(stops))
        for each in services:
            places = [Place(path, must_lie_within(path), "").to_args() for path in _existing(each)]
            title = (
                f"make an empty folder beside the data of {each.name}: {' '.join(_existing(each)) or 'there is none'}"
            )
            steps.append(PlannedStep(EMPTY, each.name, title, {"places": places}, stopped, 600.0))
            steps.append(PlannedStep(SWAP, each.name, f"swap the data of {each.name}", {"places": places},
                                     (len(steps) - 1,), 600.0))  # fmt: skip
            title = f"{'keep' if request.keep_old else 'remove'} the data of {each.name} from before"
            args = {"places": places, "keep": request.keep_old, "snapshot": ""}
            steps.append(PlannedStep(SETTLE, each.name, title, args, (len(steps) - 1,), 3600.0))
        between = len(steps) - stops
        done = tuple(range(stops, len(steps)))
        steps += restoring.shifted(life.steps[stops:], stops, 0, between, done)
        kept = "is kept beside it" if request.keep_old else "is removed, and only a backup brings it back"
        effects = (f"the data of {' and '.join(names)} {kept}", *life.effects,
                   "`blackhole backup restore --latest` brings back what was backed up")  # fmt: skip
        return Plan("reset", names, tuple(steps), effects, life.claims | {f"service:{name}" for name in names})

    def _asked(self, service: str) -> bool:
        running = self.around.running().items()
        return any(address and instance.rpartition("-")[0] == service for instance, address in running)

    # ---- steps -----------------------------------------------------------------------------------------------------

    def kinds(self) -> list[StepKind]:
        """What the journal is given."""
        return [
            StepKind(CHECK, self.check, NoUndo("looking changes nothing")),
            StepKind(REPAIR, self.repair, NoUndo("what was damaged is kept beside what was saved")),
            StepKind(CLEANUP, self.cleanup, NoUndo("what was left behind is gone")),
            StepKind(EMPTY, self.empty, self.unempty),
        ]

    async def check(self, call: Call) -> Outcome:
        """Done when nothing is wrong with the data of a service; what is wrong fails the step."""
        service = self._service(call.target)
        if (wrong := await self._by_contract(service)) is not None:
            if wrong:
                raise BlackholeError(f"{'; '.join(wrong[:5])}; {_what_next(call.target)}")
            return Done(detail="its contract finds nothing wrong")
        found = await self._looked(service, call)
        if found.problems:
            more = f" and {len(found.problems) - 5} more" if len(found.problems) > 5 else ""
            raise BlackholeError(f"{'; '.join(found.problems[:5])}{more}; {_what_next(call.target)}")
        return Done(detail=_looked_text(found))

    async def repair(self, call: Call) -> Outcome:
        """Done when the service itself has repaired its data, or what could be read of its databases is in new ones."""
        service = self._service(call.target)
        for instance, address in self._instances(service):
            if address and self.around.repair is not None:
                said = await self.around.repair(instance, address)
                if said is not None:
                    return Done(detail=said)
        found = await self._looked(service, call)
        if not found.damaged:
            if found.problems:
                raise BlackholeError(f"{'; '.join(found.problems[:5])}; nobody but its own program can repair that")
            return Done(detail=f"nothing is damaged: {_looked_text(found)}")
        if running := [name for name, _ in self._instances(service)]:
            raise Refused(f"{found.damaged[0]} is damaged, and {', '.join(running)} uses it; stop {service.name} first")
        return Done(detail="; ".join([await self._salvaged(path) for path in found.damaged]))

    async def _salvaged(self, path: str) -> str:
        kept = swap.kept_name(Place(path, False, ""), self._room.clock()).replace("before-restore", "damaged")
        return await asyncio.to_thread(datacheck.salvage, Path(path), kept)

    async def cleanup(self, call: Call) -> Outcome:
        """Done when nothing that the service left behind is there. What may be the only copy of data stays."""
        service, told = self._service(call.target), []
        left = [pid for name in instances(service) for pid in self.around.members(name)]
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        told += [f"{counted(len(left), 'process')} killed".replace("processs", "processes")] if left else []
        dead = [path for path in _sockets(service) if _is_dead(path)]
        for each in dead:
            each.unlink(missing_ok=True)
        told += [f"removed the dead socket {each}" for each in dead]
        for path in data_of(service):
            for folder in swap.leftovers(path):
                if os.path.lexists(path):
                    await asyncio.to_thread(swap.remove, folder)
                    told.append(f"removed {folder}")
                else:
                    told.append(f"{path} is missing, and what there was may be in {folder}/old: it was left")
        return Done(detail="; ".join(told) or "nothing was left behind")

    async def empty(self, call: Call) -> Outcome:
        """An empty folder lies ready beside each folder of data, with its owner and mode."""
        for each in call.args["places"]:
            one = swap.place(each, call.operation_id)
            await to_the_end(swap.make_empty, one)
        return Done()

    async def unempty(self, call: Call) -> Outcome:
        """They are gone again, unless they hold what was there before."""
        for each in call.args["places"]:
            one = swap.place(each, call.operation_id)
            if not os.path.lexists(one.old):
                await asyncio.to_thread(swap.discard, one)
        return Done()

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _service(self, name: str) -> ServiceSpec:
        found = self._room.spec().services.get(name)
        if found is None:
            raise NotFound(f"cannot find {name}: it is not declared any more")
        return found

    def _instances(self, service: ServiceSpec) -> list[tuple[str, str]]:
        """Those that run, with the address of their contract or nothing."""
        return [(name, each) for name, each in self.around.running().items() if name.rpartition("-")[0] == service.name]

    async def _by_contract(self, service: ServiceSpec) -> list[str] | None:
        """What all running instances find wrong; None: nobody could be asked."""
        wrong: list[str] = []
        asked = False
        for name, address in self._instances(service):
            if address and self.around.verify is not None:
                said = await self.around.verify(name, address)
                if said is not None:
                    asked = True
                    wrong += [f"{name}: {each}" for each in said]
        return wrong if asked else None

    async def _looked(self, service: ServiceSpec, call: Call) -> datacheck.Found:
        stop = threading.Event()
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            loop.call_soon_threadsafe(call.progress, text)

        try:
            return await asyncio.to_thread(datacheck.check, data_of(service), stop.is_set, say)
        finally:
            stop.set()


def _for_good(step: PlannedStep) -> PlannedStep:
    """A stop that nothing takes back."""
    return replace(step, args={**step.args, "restore": False})


def _existing(service: ServiceSpec) -> list[str]:
    return [path for path in dict.fromkeys(map(os.path.realpath, data_of(service))) if os.path.lexists(path)]


def _sockets(service: ServiceSpec) -> list[Path]:
    """Unix sockets that the service is said to listen on."""
    addresses = [address for each in instances(service).values() for address in (each.contract, each.probe.target)]
    unix = [address.removeprefix("unix:") for address in addresses if address.startswith("unix:")]
    return [Path(path.removeprefix("//")) for path in unix]


def _is_dead(path: Path) -> bool:
    """Whether it is a socket on which nobody listens."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.settimeout(1.0)
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _looked_text(found: datacheck.Found) -> str:
    databases = f", {counted(found.databases, 'SQLite database')} whole" if found.databases else ""
    return f"{counted(found.files, 'file')} read, {format_size(found.bytes)}{databases}"


def _what_next(service: str) -> str:
    return (
        f"`blackhole backup restore --service {service} --latest` brings back the last backup; without one, "
        f"`blackhole repair --service {service}` saves what it can"
    )
