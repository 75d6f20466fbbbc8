"""Looks by itself: makes backups when they are due, prunes after them, and tells when a promise is not kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from bhtui.agent.memory import Settings
from bhtui.core.backup import ServiceProtection
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.event import EventKind
from bhtui.core.operation import Operation, OperationState
from bhtui.core.request import BackupRequest, CreateBackupRequest, DrillBackupsRequest, PruneBackupsRequest
from bhtui.core.spec import Spec
from bhtui.core.units import format_age

from . import repository, retention, schedule
from .room import Backup
from .schedule import SECOND, Due

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds; a clock that somebody has set, and a repository that somebody else changed, are noticed after so long."""
REMOTE_SECONDS = 3600.0
"""How often a repository elsewhere is looked into."""
RETRIES, RETRY_SECONDS = 3, 600.0
"""How often what a scheduled backup could not take is tried again, and after how long."""
PRUNE_SECONDS = 7 * 86400.0
"""How often space is freed even though retention removes nothing."""
ACTOR = "schedule:backup"
HANDLED, LATE, PRUNED, DRILLED = "backup.schedule", "backup.late", "backup.pruned", "backup.drilled"


class Operations(Protocol):
    """The journal."""

    def get(self, operation_id: str) -> Operation: ...


Begin = Callable[[BackupRequest, str, str], Awaitable[Operation]]
"""Begins what an actor wants, for a reason. Raises BlackholeError."""


@dataclass
class Under:
    """A scheduled backup that was begun."""

    operation: str
    due: Due
    attempt: int = 1
    again_ns: int = 0
    """When it is tried again; 0: it runs."""


class BackupWatch:
    """Of the room; what it decides is begun like anybody's operation."""

    def __init__(self, room: Backup, settings: Settings, operations: Operations, begin: Begin) -> None:
        self._room, self._settings, self._operations, self._begin = room, settings, operations, begin
        self._under: Under | None = None
        self._unreadable = ""
        self._asked_ns = 0
        self._changed = asyncio.Event()
        room.told = self._changed.set

    def follow(self, _: Spec) -> None:
        """Another configuration is in force."""
        self._changed.set()

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            self._changed.clear()
            try:
                await self.look()
            except BlackholeError as error:
                log.warning("backups are looked at again in %.0f s: %s", LONGEST_SLEEP, error)
            try:
                async with asyncio.timeout(self._sleep()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _sleep(self) -> float:
        now = self._room.clock()
        due = schedule.next_ns(self._room.spec().backup.schedule, self._room.host, self._room.zone(), now)
        return max(0.05, min([LONGEST_SLEEP, *((each - now) / SECOND for each in due.values())]))

    async def look(self) -> None:
        """Once. Raises StoreUnavailable."""
        if self._room.spec().backup.storage is not None:
            await self._refresh()
            await self._follow_up()
            await self._make_due()
            await self._drill_due()
        self._tell_late()

    # ---- what the repository holds ---------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Reads the repository when it holds something else than is known, or nobody can tell and it is long ago."""
        room, location = self._room, self._room.repositories.location()
        storage = room.spec().backup.storage
        if storage is not None and storage.type == "local":
            there = {each.id for each in repository.visible(storage.path)}
            if there == {each.id for each in room.catalog.snapshots(location)}:
                return
        elif room.clock() - room.catalog.seen_ns(location) < REMOTE_SECONDS * SECOND:
            return
        if room.clock() - self._asked_ns < RETRY_SECONDS * SECOND and self._unreadable:
            return  # it has just failed
        self._asked_ns = room.clock()
        try:
            await room.repositories.refresh()
            self._unreadable = ""
        except BlackholeError as error:
            if str(error) != self._unreadable:
                log.warning("what the repository holds is not known: %s", error)
            self._unreadable = str(error)

    # ---- the schedule ----------------------------------------------------------------------------------------------

    async def _make_due(self) -> None:
        room = self._room
        declared = room.spec().backup.schedule
        handled = self._settings.setting(HANDLED) or {}
        due, settled = schedule.due(declared, handled, room.host, room.zone(), room.clock())
        if (due is None or await self._make(due, ())) and settled != handled:
            self._settings.set_setting(HANDLED, settled)

    async def _make(self, due: Due, services: tuple[str, ...], attempt: int = 1) -> bool:
        """Begins it; False: something is in the way, and it is tried again soon."""
        why = f"{due.type} backup, scheduled" + (", missed while the agent was down" if due.missed else "")
        why += f", attempt {attempt}" if attempt > 1 else ""
        try:
            operation = await self._begin(CreateBackupRequest(services, due.type), ACTOR, why)
        except Refused as error:
            log.info("the scheduled backup waits: %s", error)
            return False
        except BlackholeError as error:
            self._room.events.append(EventKind.BACKUP_FAILED, "", f"the scheduled backup was not begun: {error}", {})
            return True
        self._under = Under(operation.id, due, attempt)
        return True

    async def _follow_up(self) -> None:
        """What the last scheduled backup could not take is tried again; then what is not kept is removed."""
        under = self._under
        if under is None:
            return
        if under.again_ns:
            if self._room.clock() >= under.again_ns:
                services = self._missing(under.due)
                if services and not await self._make(under.due, services, under.attempt + 1):
                    return
                if not services:
                    self._under = None
            return
        operation = self._operations.get(under.operation)
        if not operation.ended:
            return
        again = operation.state is OperationState.FAILED and under.attempt <= RETRIES and self._missing(under.due)
        if again:
            under.again_ns = self._room.clock() + round(RETRY_SECONDS * SECOND)
        else:
            self._under = None
        if operation.state is not OperationState.CANCELLED:
            await self._prune()  # also when one service fails for ever: the others go on being backed up

    def _missing(self, due: Due) -> tuple[str, ...]:
        """Services that have no snapshot since a moment."""
        late = [each for each in self._room.protection() if each.last_ns < due.moment_ns]
        return tuple(each.service for each in late)

    async def _prune(self) -> None:
        now, last = self._room.clock(), self._settings.setting(PRUNED)
        if not retention.removable(self._room.reasons()) and (last is None or now - last < PRUNE_SECONDS * SECOND):
            if last is None:
                self._settings.set_setting(PRUNED, now)
            return
        try:
            await self._begin(PruneBackupsRequest(), ACTOR, "after the scheduled backup")
            self._settings.set_setting(PRUNED, now)
        except BlackholeError as error:
            log.warning("what is not kept is removed after the next backup: %s", error)

    # ---- drills ----------------------------------------------------------------------------------------------------

    async def _drill_due(self) -> None:
        """Begins a drill when its time has come since the last one. One that was missed is made up for."""
        room = self._room
        cron, now = room.spec().backup.drill.schedule, room.clock()
        if not cron:
            return
        last = self._settings.setting(DRILLED)
        if last is None:
            self._settings.set_setting(DRILLED, now)
            return
        moment = schedule.latest(cron, room.zone(), now)
        if moment is None or moment <= last:
            return
        try:
            await self._begin(DrillBackupsRequest(), ACTOR, "scheduled drill")
        except Refused as error:
            log.info("the scheduled drill waits: %s", error)
            return
        except BlackholeError as error:
            room.events.append(
                EventKind.BACKUP_DRILLED, "", f"the scheduled drill was not begun: {error}", {"good": False}
            )
        self._settings.set_setting(DRILLED, moment)

    # ---- the promise -----------------------------------------------------------------------------------------------

    def _tell_late(self) -> None:
        """Once for each service, until it is otherwise."""
        told = set(self._settings.setting(LATE) or ())
        now = {each.service: each for each in self._room.protection()}
        late = {name for name, each in now.items() if each.late}
        self._room.notes = [self._note(each) for each in now.values() if each.late or each.error]
        if late == told:
            return
        self._settings.set_setting(LATE, sorted(late))
        for name in sorted(late - told):
            self._room.events.append(EventKind.BACKUP_LATE, name, self._late_text(now[name]), {"late": True})
        for name in sorted(told - late):
            if name not in now:
                message = f"{name} is not backed up any more"
            elif not self._room.spec().backup.promise.rpo:
                message = f"nothing is promised any more of how old a backup of {name} may be"
            else:
                message = f"the newest backup of {name} is in time again"
            self._room.events.append(EventKind.BACKUP_LATE, name, message, {"late": False})

    def _note(self, each: ServiceProtection) -> str:
        """What `status` says as long as it is so."""
        if each.late:
            return f"backup: {self._late_text(each)}"
        return f"backup: {each.service} could not be backed up: {each.error}"

    def _late_text(self, each: ServiceProtection) -> str:
        promised = format_age(self._room.spec().backup.promise.rpo)
        why = f": {each.error}" if each.error else ""
        if not each.last_good_ns:
            return f"{each.service} has no good backup, and one of every {promised} is promised{why}"
        old = format_age((self._room.clock() - each.last_good_ns) / SECOND)
        return f"the newest good backup of {each.service} is {old} old, and {promised} is promised{why}"
