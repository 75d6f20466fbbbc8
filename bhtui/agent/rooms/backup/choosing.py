"""Which snapshots are meant: by an id, the beginning of one, a run, a service, a moment. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from bhtui.core.backup import BackupSnapshot
from bhtui.core.errors import NotFound, UsageError
from bhtui.core.units import format_time

SHORT = 8
"""Digits of an id that people are shown, as restic shows them."""
LEAST = 4
"""Digits that are enough to name one."""
_HEX = re.compile(r"[0-9a-f]+")


def short(id_: str) -> str:
    return id_[:SHORT]


def by_id(snapshots: Iterable[BackupSnapshot], wanted: str) -> BackupSnapshot:
    """The one of that id, or whose id alone begins so. Raises NotFound, UsageError."""
    found = _beginning(snapshots, wanted)
    if len(found) > 1:
        names = ", ".join(short(each.id) for each in found[:4])
        raise UsageError(f"cannot tell which backup {wanted} is: {names} begin so; give more of the id")
    if not found:
        raise _unknown(wanted)
    return found[0]


def by_ids(snapshots: Sequence[BackupSnapshot], wanted: Iterable[str]) -> tuple[BackupSnapshot, ...]:
    """As by_id for each, once; a run means all of its snapshots."""
    found: dict[str, BackupSnapshot] = {}
    for each in wanted:
        if run := of_run(snapshots, each):
            found |= {one.id: one for one in run}
        else:
            one = by_id(snapshots, each)
            found[one.id] = one
    return tuple(found.values())


def of_run(snapshots: Iterable[BackupSnapshot], run: str) -> tuple[BackupSnapshot, ...]:
    """The snapshots of a run, by its whole name."""
    return tuple(each for each in snapshots if run and each.run == run)


def to_restore(
    snapshots: Sequence[BackupSnapshot], wanted: str, services: Collection[str], before_ns: int, host: str
) -> tuple[BackupSnapshot, ...]:
    """One snapshot for each service, newest first when none is named. `host`: whose are meant then.

    An id means its own service; with `services`, those of the same run. Raises NotFound, UsageError.
    """
    if wanted:
        run = of_run(snapshots, wanted)
        chosen = run or (by_id(snapshots, wanted),)
        if not services:
            return chosen
        siblings = run or of_run(snapshots, chosen[0].run) or chosen
        return tuple(_of_service(siblings, service, f"backup {wanted}") for service in services)
    mine = [each for each in snapshots if each.host == host and each.service]
    in_time = [each for each in mine if not before_ns or each.time_ns <= before_ns]
    known = services or tuple(dict.fromkeys(sorted(each.service for each in in_time)))
    when = f" made at or before {format_time(before_ns)[:19]}Z" if before_ns else ""
    if not known:
        raise NotFound(f"cannot restore: {host} has no backup{when}; `blackhole backup list` shows what there is")
    newest = sorted(in_time, key=lambda each: (-each.time_ns, each.id))
    return tuple(_of_service(newest, service, f"any backup of {host}{when}") for service in known)


def _of_service(newest_first: Iterable[BackupSnapshot], service: str, where: str) -> BackupSnapshot:
    """The first of that service, one without a known problem if there is."""
    mine = [each for each in newest_first if service in each.services]
    if not mine:
        raise NotFound(
            f"cannot restore {service}: there is none in {where}; `blackhole backup list` shows what there is"
        )
    return next((each for each in mine if not each.problem), mine[0])


def _beginning(snapshots: Iterable[BackupSnapshot], wanted: str) -> list[BackupSnapshot]:
    start = wanted.lower()
    if len(start) < LEAST or not _HEX.fullmatch(start):
        raise UsageError(
            f"cannot find backup {wanted or '(no id given)'}: an id is at least {LEAST} hexadecimal digits; "
            "`blackhole backup list` shows them"
        )
    return [each for each in snapshots if each.id.startswith(start)]


def _unknown(wanted: str) -> NotFound:
    return NotFound(
        f"cannot find backup {wanted}: the repository has none whose id begins so; see `blackhole backup list`"
    )
