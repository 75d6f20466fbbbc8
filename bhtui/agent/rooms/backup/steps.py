"""The kinds of steps that make, check and remove backups. Each may run again after a crash of the agent.

Nothing of this is undone: what was added to a repository is removed by `backup forget`, and what was removed is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, RetryAfter, StepKind
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.event import EventKind
from bhtui.core.units import counted, format_size

from . import password, requests
from .choosing import short
from .failures import Locked, NoRepository
from .repositories import Repositories, shown, with_unlocked
from .room import Backup
from .taking import Taking

log = logging.getLogger(__name__)

LOCKED_SECONDS = 10.0
"""How long to wait before a repository that somebody works in is tried again."""
LOCKED_PATIENCE = 1800.0
"""After so long somebody else's lock is the failure."""


def kinds(room: Backup) -> list[StepKind]:
    """What the journal is given."""
    s, taking = _Steps(room), Taking(room)
    stays = NoUndo("a repository stays, and so does what is in it")
    return [
        StepKind(requests.OPEN, s.open, stays),
        StepKind(requests.TAKE, taking.take, NoUndo("a backup that was made is a backup"), taking.finish),
        StepKind(requests.VERIFY, s.verify, NoUndo("looking changes nothing")),
        StepKind(requests.FORGET, s.forget, NoUndo("what was forgotten is gone")),
        StepKind(requests.PRUNE, s.prune, NoUndo("what was freed is gone")),
        StepKind(requests.REPAIR, s.repair, NoUndo("a repaired repository is better than the one before")),
        StepKind(requests.HEAL, s.heal, NoUndo("what was put back stays")),
        StepKind(requests.UNLOCK, s.unlock, NoUndo("a removed lock is gone")),
        StepKind(requests.KEY, s.key, NoUndo("change the password again instead")),
    ]


class _Steps:
    def __init__(self, room: Backup) -> None:
        self._room = room

    @property
    def _repositories(self) -> Repositories:
        return self._room.repositories

    # ---- backup.open ---------------------------------------------------------------------------------------------

    async def open(self, call: Call) -> Outcome:
        """Done when the repository can be read; what it holds is known then. Makes it where there is none."""
        folder, file = call.args["repository"], call.args.get("password_file", "")
        if file:
            await asyncio.to_thread(_make_password, file)
            self._repositories.keep_password(password.from_file(file))
        try:
            known = await self._repositories.refresh(folder)
        except NoRepository:
            away = self._repositories.away(folder)
            if away and not call.args.get("fresh"):
                for service in call.args.get("services", ()):
                    self._room.not_backed_up(service, away)
                raise NoRepository(f"cannot back up: {away}") from None
            await self._work("init", call, {})
            await self._repositories.refresh(folder)
            return Done({"made": True}, f"made a new repository at {call.target}")
        except Locked as error:
            return self._wait(call, error)
        except BlackholeError as error:
            for service in call.args.get("services", ()):
                self._room.not_backed_up(service, str(error))
            raise
        if call.args.get("fresh") and not call.elapsed and not call.learned:
            raise Refused(
                f"cannot make a repository at {call.target}: there is one, with {counted(len(known), 'snapshot')}"
            )
        return Done(detail=counted(len(known), "snapshot"))

    # ---- backup.verify -------------------------------------------------------------------------------------------

    async def verify(self, call: Call) -> Outcome:
        """Looks at snapshots; what is wrong with them is known then, and fails the step."""
        ids, deep = list(call.args["ids"]), bool(call.args["read_data"])
        try:
            said = await self._work("verify", call, {"ids": ids, "read_data": deep})
        except Locked as error:
            return self._wait(call, error)
        hurt: dict[str, str] = {each["id"]: _lost(each.get("problems") or ()) for each in said.get("snapshots", ())}
        problems = [_brief(each) for each in said.get("problems") or () if not each.get("harmless")]
        for problem in problems:
            for id_ in problem.get("hurts") or ():
                hurt[id_] = "; ".join(filter(None, (hurt.get(id_, ""), str(problem.get("what", problem.get("kind"))))))
        how = "data" if deep else "structure"
        self._room.catalog.verified(hurt, how, self._room.clock())
        wrong = [str(problem.get("what") or problem.get("kind")) for problem in problems]
        bad = {id_: why for id_, why in hurt.items() if why}
        if not wrong and not bad:
            read = f", {format_size(said['bytes_read'])} read" if said.get("bytes_read") else ""
            detail = f"{counted(len(hurt), 'snapshot')} checked, nothing is wrong{read}"
            self._room.events.append(
                EventKind.BACKUP_VERIFIED, call.target, detail, {"snapshots": list(hurt), "how": how}
            )
            return Done({"checked": len(hurt)}, with_unlocked(detail, said))
        raise self._damaged(call, wrong, bad)

    def _damaged(self, call: Call, wrong: list[str], bad: Mapping[str, str]) -> BlackholeError:
        hurts = f"it hurts {', '.join(short(each) for each in bad)}" if bad else "no snapshot is hurt"
        first = "; ".join(wrong[:3]) or "; ".join(list(bad.values())[:3])
        message = f"{call.target} is damaged: {first}; {hurts}"
        self._room.events.append(
            EventKind.BACKUP_DAMAGED, call.target, message, {"problems": wrong[:100], "snapshots": dict(bad)}
        )
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return BlackholeError(
            f"{first}{more}; {hurts}; `blackhole backup heal` puts back what the live files still hold, "
            "`blackhole backup repair` saves the rest"
        )

    # ---- backup.forget, backup.prune -------------------------------------------------------------------------------

    async def forget(self, call: Call) -> Outcome:
        """Takes snapshots away; those that are gone already are no failure."""
        ids, said = list(call.args["ids"]), dict[str, Any]()
        try:
            there = {each.id for each in await self._repositories.refresh(call.args["repository"])}
            if left := [each for each in ids if each in there]:
                said = await self._work("forget", call, {"ids": left})
        except Locked as error:
            return self._wait(call, error)
        location = self._repositories.location(call.args["repository"])
        self._room.catalog.remove(location, ids)
        message = f"forgot {', '.join(map(short, ids[:10]))}" + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
        self._room.events.append(EventKind.BACKUP_PRUNED, call.target, message, {"snapshots": ids})
        return Done(detail=with_unlocked(f"{len(ids)} forgotten", said))

    async def prune(self, call: Call) -> Outcome:
        """Frees what no snapshot needs."""
        try:
            said = await self._work("prune", call, {})
        except Locked as error:
            return self._wait(call, error)
        freed, left = format_size(said.get("bytes_freed", 0)), format_size(said.get("bytes_left", 0))
        self._room.events.append(EventKind.BACKUP_PRUNED, call.target, f"freed {freed}, {left} are left", dict(said))
        return Done(detail=with_unlocked(f"{freed} freed, {left} left", said))

    # ---- backup.repair, backup.heal --------------------------------------------------------------------------------

    async def repair(self, call: Call) -> Outcome:
        """Makes the index anew and leaves out what is lost; which files those are is said."""
        try:
            said = await self._work("repair", call, {"dry_run": False})
        except Locked as error:
            return self._wait(call, error)
        await self._repositories.refresh(call.args["repository"])
        lost = list(said.get("files_lost") or ())
        rewritten = list(said.get("snapshots_rewritten") or ())
        detail = f"{counted(len(rewritten), 'snapshot')} made anew, {counted(len(lost), 'file')} lost"
        if lost:
            detail += f": {', '.join(map(str, lost[:5]))}" + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        return Done({"files_lost": lost[:1000]}, with_unlocked(detail, said))

    async def heal(self, call: Call) -> Outcome:
        """Puts pieces back from live files; what is still missing fails the step."""
        try:
            said = await self._work("heal", call, {"roots": list(call.args["roots"])})
        except Locked as error:
            return self._wait(call, error)
        healed, missing = said.get("healed", 0), said.get("missing", 0)
        if missing:
            raise BlackholeError(
                f"{healed} put back, {counted(missing, 'piece')} in no live file; "
                "`blackhole backup repair` saves the rest"
            )
        detail = f"{counted(healed, 'piece')} put back" if healed else "nothing is missing"
        if packs := said.get("packs_removed", 0):
            detail += f", {counted(packs, 'damaged pack')} replaced"
        return Done(detail=with_unlocked(detail, said))

    # ---- backup.unlock, backup.key -----------------------------------------------------------------------------------

    async def unlock(self, call: Call) -> Outcome:
        """Removes locks."""
        said = await self._work("unlock", call, {"all": bool(call.args["all"])})
        left = list(said.get("left") or ())
        told = [counted(int(said.get("removed", 0)), "lock") + " removed", *said["unlocked"][:3]]
        told += [f"in use by {each}: left" for each in left[:3]]
        return Done(detail="; ".join(told))

    async def key(self, call: Call) -> Outcome:
        """Adds, removes or changes a password. The new one is read when it is needed, and written down nowhere."""
        action, wanted = call.args["action"], {}
        if action == "remove":
            keys = (await self._repositories.ask("key_list", call.args["repository"])).get("keys") or ()
            found = [each for each in keys if str(each["id"]).startswith(call.args["key"])]
            if len(found) != 1:
                if not found and call.elapsed > 1:
                    return Done(detail="it is gone")  # removed before the agent was restarted
                what = "several begin so" if found else "there is no such key"
                raise Refused(f"{what}; see `blackhole backup repo key list`")
            wanted = {"id": found[0]["id"]}
        elif call.args["password_file"]:
            wanted = {"new_password": password.from_file(call.args["password_file"])}
        else:
            wanted = {"new_password": self._repositories.withdraw(call.args["ticket"])}
        await self._work(f"key_{action}", call, wanted)
        return Done(
            detail="write the new password to where the configuration looks for it" if action == "change" else ""
        )

    # ---- parts -----------------------------------------------------------------------------------------------------

    async def _work(self, verb: str, call: Call, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await self._repositories.work(
            verb, call.args["repository"], arguments, call.operation_id, "", call.progress
        )

    def _wait(self, call: Call, error: Locked) -> RetryAfter:
        return wait_for_lock(call, error)


def _lost(paths: Sequence[str]) -> str:
    """What of a snapshot cannot be restored, in words."""
    if not paths:
        return ""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"cannot be restored from it: {', '.join(map(shown, paths[:3]))}{more}"


def _brief(problem: Mapping[str, Any]) -> dict[str, Any]:
    """With ids as people are shown them."""
    what = str(problem.get("what") or problem.get("kind"))
    return {**problem, "what": re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1", what)}


def wait_for_lock(call: Call, error: Locked) -> RetryAfter:
    """Somebody else works there. Raises it once that has lasted too long."""
    if call.elapsed > LOCKED_PATIENCE:
        raise error
    return RetryAfter(LOCKED_SECONDS, f"waits, because somebody else works in the repository ({error})")


def _make_password(path: str) -> None:
    """A file with a password that nobody could guess, unless it is there from before a crash."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise BlackholeError(
            f"cannot make the password file {path}: {(error.strerror or str(error)).lower()}; name one in a folder "
            "that the agent's user may write"
        ) from None
    with os.fdopen(fd, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
