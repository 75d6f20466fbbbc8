"""The plan of a restore. Pure; what the snapshots would change was looked for before.

In place: each snapshot is checked and restored beside the data while the services still run; then they are stopped
with what depends on them, the data is swapped by renaming, and they are started and waited for. When anything fails,
what was done is undone: the data from before is back in its place, and whoever was up is started with it again. Only
when all are healthy the data from before is removed, or put aside where that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bhtui.core.backup import BackupSnapshot
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.units import counted, format_size

from .choosing import short
from .requests import LONGEST, Target, described
from .swap import Place

STAGE, SWAP, SETTLE, EXTRACT = "restore.stage", "restore.swap", "restore.settle", "restore.extract"
EMPTY = "restore.empty"
SHOWN = 12
"""Changed files that a plan shows of each service."""
SIGNS = {"add": "+", "change": "~", "remove": "-"}


@dataclass(frozen=True, slots=True)
class Changes:
    """What a restore would do to what is there now."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0
    bytes: int = 0
    """That would be written."""
    shown: tuple[str, ...] = ()
    """Some of them, `+ path`, `~ path`, `- path`."""
    unnamed: int = 0
    """Files added or changed, where they are too many to be told apart; 0: they were."""
    problem: str = ""
    """Why it is not known."""

    def __str__(self) -> str:
        if self.problem:
            return f"what changes is not known: {self.problem}"
        parts = [f"{counted(self.added, 'file')} added", f"{self.changed} changed"]
        if self.unnamed:
            parts = [f"{counted(self.unnamed, 'file')} added or changed"]
        parts += [f"{self.removed} removed", f"{self.same} as before"]
        return f"{', '.join(parts)}, {format_size(self.bytes)} written"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One service and what it is restored from."""

    service: str
    snapshot: BackupSnapshot
    places: tuple[Place, ...] = ()
    """Data that is put back."""
    extras: tuple[str, ...] = ()
    """Other paths of the snapshot, which what prepares the service makes use of."""
    stand_ins: tuple[str, ...] = ()
    """Data of which the snapshot holds a copy that stands for it: a base backup of a database."""
    made: Mapping[str, str] = field(default_factory=dict)
    """Data that is made anew, and of which path of the snapshot: of a dump."""
    untouched: tuple[str, ...] = ()
    """Data that the snapshot does not hold."""
    excludes: tuple[str, ...] = ()
    """Patterns of what is left out of backups now."""
    changes: Changes = Changes()


def in_place(
    wanted: Sequence[Wanted],
    target: Target,
    around: tuple[Plan, int],
    before_ns: int,
    keep_old: bool,
) -> Plan:
    """`around` stops (so many steps) and starts the services."""
    life, stops = around
    steps: list[PlannedStep] = []
    for each in wanted:
        how = f", load {' '.join(each.made.values())} into a new data folder" if each.made else ""
        title = f"restore {each.service} beside its data: {described(each.snapshot)}, check every byte of it{how}"
        args = {
            "repository": target.folder, "snapshot": each.snapshot.id, "places": [one.to_args() for one in each.places],
            "extras": list(each.extras), "before_ns": before_ns, "stand_ins": list(each.stand_ins),
            "made": dict(each.made),
        }  # fmt: skip
        steps.append(PlannedStep(STAGE, each.service, title, args, (), LONGEST))
    staged = tuple(range(len(steps)))
    steps += _moved(life.steps[:stops], len(staged), staged)
    stopped = tuple(range(len(staged) + stops))
    for each in wanted:
        title = f"swap the data of {each.service}: {' '.join(one.path for one in each.places)}"
        args = {"places": [one.to_args() for one in each.places]}
        steps.append(PlannedStep(SWAP, each.service, title, args, stopped, 600.0))
    swapped = tuple(range(len(stopped), len(steps)))
    steps += shifted(life.steps[stops:], stops, len(staged), len(wanted), swapped)
    everything = tuple(range(len(steps)))
    for each in wanted:
        title = f"{'keep' if keep_old else 'remove'} the data of {each.service} from before"
        args = {
            "places": [one.to_args() for one in each.places], "keep": keep_old, "snapshot": each.snapshot.id,
        }  # fmt: skip
        steps.append(PlannedStep(SETTLE, each.service, title, args, everything, 3600.0))
    claims = frozenset({*life.claims, *(f"backup:{each.service}" for each in wanted)})
    claims |= {f"service:{each.service}" for each in wanted}
    targets = tuple(each.service for each in wanted)
    return Plan("restore", targets, tuple(steps), _effects(wanted, life), claims, undo_on_failure=True)


def into_folder(wanted: Sequence[Wanted], target: Target, folder: str, paths: Sequence[str], several: bool) -> Plan:
    """Stops nothing; each service has a folder of its own where there are several."""
    steps = []
    for each in wanted:
        goal = f"{folder.rstrip('/')}/{each.service or short(each.snapshot.id)}" if several else folder
        title = f"restore {' '.join(paths) or 'all'} of {described(each.snapshot)} into {goal}"
        args = {"repository": target.folder, "snapshot": each.snapshot.id, "folder": goal, "paths": list(paths)}
        steps.append(PlannedStep(EXTRACT, each.service or short(each.snapshot.id), title, args, (), LONGEST))
    names = tuple(dict.fromkeys(step.target for step in steps))
    return Plan("restore", names, tuple(steps), ("nothing is stopped",), frozenset({f"restore:{folder}"}))


def _moved(steps: Sequence[PlannedStep], by: int, also: tuple[int, ...]) -> list[PlannedStep]:
    """With other numbers, and after these as well."""
    return [replace(step, after=tuple(sorted({*also, *(index + by for index in step.after)}))) for step in steps]


def shifted(
    steps: Sequence[PlannedStep], stops: int, before: int, between: int, also: tuple[int, ...]
) -> list[PlannedStep]:
    """The starts: what they come after counts through stops and starts, between which the swaps are now."""
    number: Mapping[int, int] = {
        index: index + before + (between if index >= stops else 0) for index in range(stops + len(steps))
    }
    return [replace(step, after=tuple(sorted({*also, *(number[index] for index in step.after)}))) for step in steps]


def _effects(wanted: Sequence[Wanted], life: Plan) -> tuple[str, ...]:
    told = []
    for each in wanted:
        told.append(f"{each.service}: {each.changes}")
        told += [f"  {line}" for line in each.changes.shown]
        if each.untouched:
            told.append(f"{each.service}: the backup does not hold {' '.join(each.untouched)}; that stays as it is")
        if each.excludes:
            left_out = " ".join(each.excludes)
            told.append(
                f"{each.service}: what `excludes` leaves out ({left_out}) is in no backup: what there is of it now is "
                "carried over"
            )
        if each.snapshot.problem:
            told.append(f"{each.service}: the backup has a problem: {each.snapshot.problem}")
    return (*told, *life.effects)


def changes(answer: Mapping[str, Any], copy_ending: str) -> Changes:
    """What a restore on trial said: so many entries written, removed and left, and the first of them by name.

    A copy that stands for a live file is told as that file.
    """
    told = [(str(each["kind"]), "/" + str(each["path"]).lstrip("/")) for each in answer.get("changes") or ()]
    copies = {path.removesuffix(copy_ending) for _, path in told if path.endswith(copy_ending)}
    named = [("change" if path in copies else kind, path) for kind, path in told if not path.endswith(copy_ending)]
    named += [("add", path) for path in sorted(copies - {path for _, path in named})]
    replaced = sum(1 for kind, path in told if kind == "remove" and path in copies)
    written, removed = int(answer.get("files") or 0), int(answer.get("removed") or 0) - replaced
    shown = [f"{SIGNS[kind]} {path}" for kind, path in sorted(named, key=lambda each: each[1]) if kind in SIGNS]
    total = max(written + removed, len(shown))
    if total > len(shown[:SHOWN]):
        shown = [*shown[:SHOWN], f"and {total - len(shown[:SHOWN])} more"]
    return Changes(
        added=sum(1 for kind, _ in named if kind == "add"),
        changed=sum(1 for kind, _ in named if kind == "change"),
        removed=removed,
        same=int(answer.get("skipped") or 0),
        bytes=int(answer.get("bytes") or 0),
        shown=tuple(shown),
        unnamed=written if answer.get("more") else 0,
    )


def with_changes(wanted: Wanted, found: Changes) -> Wanted:
    """With what it would do."""
    return replace(wanted, changes=found)
