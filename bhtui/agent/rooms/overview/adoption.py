"""How what runs becomes a declared service: what is meant, what it is, and the plan that writes it down.

Nothing that runs is touched. A unit or container is supervised by its own manager before and after; a process goes on
beside the service of the same name, until somebody stops it and starts that.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

from bhtui.core.errors import BlackholeError, NotFound, Refused, UsageError
from bhtui.core.operation import Plan
from bhtui.core.overview import AGENT
from bhtui.core.request import AdoptRequest

from . import change, procfs, ranking, sockets, spec, subject, units
from .model import Configuration, Containers, FoundContainer, Ours
from .spec import Made, Own
from .subject import Subject

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
KINDS = ("unit", "container", "pid")
UNIT_TYPES = ("service", "socket", "mount", "timer", "path", "swap", "automount", "target", "slice", "scope", "device")
LIMITS = tuple(spec.UNIT_LIMITS)
PRINT = "`--print` shows what it would be"


class Adoption:
    """Makes the plan of an adoption; asks the host, changes nothing."""

    def __init__(self, config: Configuration, ours: Callable[[], Ours], containers: Containers) -> None:
        self._config, self._ours, self._containers = config, ours, containers

    async def plan(self, request: AdoptRequest) -> Plan:
        """Exactly what the request would do. Raises NotFound, UsageError, Refused, ConfigError."""
        if request.name and not NAME.fullmatch(request.name):
            raise UsageError(
                f"cannot adopt as {request.name!r}: a name has a-z, 0-9, - and _, and begins with a letter or a digit"
            )
        ours = self._ours()
        made = await self._made(request, ours)
        if request.document_only:
            return Plan("adopt", (made.entry.name,), (), made.effects, document=change.document(made.entry))
        return await asyncio.to_thread(change.plan, self._config, made)

    async def _made(self, request: AdoptRequest, ours: Ours) -> Made:
        kind, name = parse_target(request.target)
        if kind == "pid":
            return await self._of_pid(int(name), request, ours)
        if kind == "container":
            return await self._of_container(name, request.name, ours)
        if kind == "unit":
            return await self._of_unit(name, request.name, ours)
        return await self._of_either(name, request.name, ours)

    # ---- units and containers ------------------------------------------------------------------------------------

    async def _of_either(self, name: str, wanted: str, ours: Ours) -> Made:
        """A bare word is a unit or a container, whichever there is."""
        container = await self._container(name)
        try:
            made = await self._of_unit(f"{name}.service", wanted, ours)
        except NotFound:
            if container is None:
                raise NotFound(
                    f"cannot adopt {name}: this host has no unit {name}.service and no container {name} that can be "
                    "seen; `blackhole overview --all` lists what runs, and a number is a process"
                ) from None
            return await self._of_container(name, wanted, ours)
        if container is not None:
            raise UsageError(f"cannot adopt {name}: it is a unit and a container; say unit:{name} or container:{name}")
        return made

    async def _of_unit(self, name: str, wanted: str, ours: Ours) -> Made:
        name = name if name.rpartition(".")[2] in UNIT_TYPES else f"{name}.service"
        if not name.endswith(".service"):
            raise Refused(f"cannot adopt {name}: only units of type service have something that runs")
        block, user = await _unit(name)
        name = block["Id"]
        if service := ours.units.get(name):
            raise Refused(f"cannot adopt {name}: it is the service {service} already")
        if block.get("LoadState") == "masked":
            raise Refused(f"cannot adopt {name}: it is masked; `systemctl unmask {name}` first, if it is to run")
        listening = await asyncio.to_thread(_listening_of_unit, name)
        if ours.agent & listening.pids or name.startswith("blackhole"):
            raise Refused(f"cannot adopt {name}: it is this agent itself")
        own = spec.as_name(name.removesuffix(".service"))
        return spec.of_unit(block, wanted or own, user, listening.found)

    async def _container(self, name: str) -> FoundContainer | None:
        found = [each for each in (await self._containers.list())[0] if name in (each.shown.name, each.shown.id)]
        if not found and re.fullmatch(r"[0-9a-f]{12,64}", name):
            found = [each for each in (await self._containers.list())[0] if each.shown.id.startswith(name)]
        if len(found) > 1:
            engines = " and ".join(each.shown.engine for each in found)
            raise UsageError(f"cannot adopt {name}: {engines} each have a container of that name; give its id")
        return found[0] if found else None

    async def _of_container(self, name: str, wanted: str, ours: Ours) -> Made:
        found = await self._container(name)
        if found is None:
            told = "; ".join((await self._containers.list())[1])
            why = told or "no engine that can be asked has it"
            raise NotFound(f"cannot adopt the container {name}: {why}; `blackhole overview` lists containers")
        if service := ours.container(found.shown.name, found.shown.id):
            raise Refused(f"cannot adopt {found.shown.name}: it is the service {service} already")
        return spec.of_container(found.shown, wanted or spec.as_name(found.shown.name), found.ports)

    # ---- processes -----------------------------------------------------------------------------------------------

    async def _of_pid(self, pid: int, request: AdoptRequest, ours: Ours) -> Made:
        it = await asyncio.to_thread(subject.read, pid)
        if it is None:
            raise NotFound(f"cannot adopt {pid}: there is no such process; `blackhole overview` lists the busiest")
        await self._refuse(it, ours)
        own = _own(it)
        user = _user(it, own)
        if user and own.uid and not request.document_only:
            raise Refused(
                f"cannot adopt {pid}: it runs as {user}, and only an agent of root may start it as that; run the agent "
                f"as root; {PRINT}"
            )
        name = request.name or spec.name_of(it.words, it.program, it.name)
        made = spec.of_process(it, name, user, own)
        return Made(made.entry, (*_switching(it, name), *made.effects))

    async def _refuse(self, it: Subject, ours: Ours) -> None:
        """Raises Refused for what is no process that could be a service, or is one already."""
        if it.pid == 1 or it.is_kernel:
            what = "it is the host's init" if it.pid == 1 else f"[{it.name}] is a thread of the kernel"
            raise Refused(f"cannot adopt {it.pid}: {what}")
        instance = await asyncio.to_thread(_instance, it.pid, ours)
        if instance:
            what = "it is of this agent itself" if instance == AGENT else f"it is of {instance}, which is declared"
            raise Refused(f"cannot adopt {it.pid}: {what}")
        if it.place.instance:
            raise Refused(
                f"cannot adopt {it.pid}: it is {it.place.instance} of another agent like this one on this host"
            )
        if it.place.container:
            found = await self._container(it.place.container)
            name = found.shown.name if found else it.place.container
            raise Refused(
                f"cannot adopt {it.pid}: it runs in a container; adopt that: blackhole adopt container:{name}"
            )
        if it.place.unit.startswith("user@"):
            raise Refused(f"cannot adopt {it.pid}: it is the manager of a user's own units")
        if it.place.unit:
            raise Refused(
                f"cannot adopt {it.pid}: it runs in the unit {it.place.unit}; adopt that: "
                f"blackhole adopt {it.place.unit}"
            )
        if it.parent is not None and it.words and it.words == it.parent_words:
            raise Refused(
                f"cannot adopt {it.pid}: it is a worker of {it.parent.pid}; adopt that: blackhole adopt {it.parent.pid}"
            )


def parse_target(text: str) -> tuple[str, str]:
    """Kind (`unit`, `container`, `pid`; empty: unit or container) and name. Raises UsageError."""
    kind, colon, name = text.partition(":")
    if not (colon and kind in KINDS):
        kind, name = "", text
    if not name or name.startswith("-") or any(char.isspace() or not char.isprintable() for char in name):
        raise UsageError(f"cannot adopt {text!r}: give a unit, a container or the number of a process")
    if kind == "pid" or (not kind and re.fullmatch(r"[0-9]+", name)):
        if not re.fullmatch(r"[0-9]{1,10}", name) or not 0 < int(name) < 1 << 31:
            raise UsageError(f"cannot adopt {text}: that is not the number of a process")
        return "pid", name
    if not kind and name.rpartition(".")[2] in UNIT_TYPES and "." in name:
        return "unit", name
    return kind, name


async def _unit(name: str) -> tuple[Mapping[str, str], str]:
    """Its properties, and whose manager it is in. Raises NotFound, BlackholeError."""
    asked = await units.ask((name,), more=LIMITS)
    found = next((each for each in asked.units if each.get("LoadState") not in ("not-found", "")), None)
    if found is not None:
        return found, ""
    if os.getuid():
        own = await units.ask((name,), user=True, more=LIMITS)
        if block := next((each for each in own.units if each.get("LoadState") not in ("not-found", "")), None):
            return block, procfs.user_name(os.getuid())
    if asked.problem and units.is_systemd_here():
        raise BlackholeError(f"cannot adopt {name}: {asked.problem}; try again, or see `systemctl status`")
    why = asked.problem or "systemd knows no such unit"
    raise NotFound(f"cannot adopt {name}: {why}; `blackhole overview` lists what runs")


class _Unit:
    """The processes of a unit and the sockets that they listen on."""

    def __init__(self, name: str) -> None:
        every = procfs.processes()
        self.pids = frozenset(pid for pid, each in every.items() if each.place.unit == name)
        inodes = {inode for pid in self.pids for inode in sockets.sockets_of(pid)}
        self.found = [each for each in sockets.listening() if each.inode in inodes]


def _listening_of_unit(name: str) -> _Unit:
    return _Unit(name)


def _instance(pid: int, ours: Ours) -> str:
    return ranking.Reading({}, procfs.processes(), 0.0, ours).instance(pid)


def _own(it: Subject) -> Own:
    """What its service would get without asking."""
    with suppress(KeyError):
        person = pwd.getpwuid(it.uid)
        login = {"HOME": person.pw_dir, "USER": person.pw_name, "LOGNAME": person.pw_name, "SHELL": person.pw_shell}
        return Own(os.geteuid(), os.getegid(), {**login, **_language()}, subject.rlimits(os.getpid()))
    return Own(os.geteuid(), os.getegid(), _language(), subject.rlimits(os.getpid()))


def _language() -> dict[str, str]:
    return {"LANG": os.environ.get("LANG", "C.UTF-8")}


def _user(it: Subject, own: Own) -> str:
    """`name`, `name:group` or numbers; empty: it is the agent's own."""
    if (it.uid, it.gid) == (own.uid, own.gid):
        return ""
    with suppress(KeyError):
        person = pwd.getpwuid(it.uid)
        return person.pw_name if person.pw_gid == it.gid else f"{person.pw_name}:{it.gid}"
    return f"{it.uid}:{it.gid}"


def _switching(it: Subject, name: str) -> list[str]:
    """What is to be known before the service takes the place of the process."""
    told = [
        f"{it.name} ({it.pid}) goes on and is not ours yet; to switch over: kill {it.pid}, then blackhole start {name}"
    ]
    if it.parent is not None and it.parent.pid != 1 and not it.has_terminal:
        told.append(f"{it.parent.name} ({it.parent.pid}) has started it, and may start it again when it is killed")
    return told
