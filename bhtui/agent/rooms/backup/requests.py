"""From a request to the plan: exactly what would run, and what else will be noticed. Pure.

Each service is a step of its own, and a snapshot of its own: one that fails fails alone. They run one after the other,
because two that read the same disk at once take longer than one after the other, and services feel it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bhtui.core.backup import BackupSnapshot, BackupType
from bhtui.core.errors import NotFound, UsageError
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.replica import instances
from bhtui.core.request import (
    CreateBackupRequest,
    HealBackupsRequest,
    RepairBackupsRequest,
    RepositoryKeyRequest,
    RepositoryRequest,
    VerifyBackupsRequest,
)
from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.units import counted, format_size, format_time

from .choosing import short

OPEN, TAKE, VERIFY, FORGET, PRUNE = "backup.open", "backup.take", "backup.verify", "backup.forget", "backup.prune"
REPAIR, HEAL, UNLOCK, KEY = "backup.repair", "backup.heal", "backup.unlock", "backup.key"
LONGEST = 7 * 86400.0
"""Seconds after which what reads or writes everything has failed. What hangs is noticed much sooner, by its silence."""
CLAIM = "backup"
"""What changes a repository as a whole claims it."""


@dataclass(frozen=True, slots=True)
class Target:
    """The repository that a request is about."""

    folder: str
    """As the request names it; empty: the configured one."""
    location: str


def data_of(service: ServiceSpec) -> tuple[str, ...]:
    """The data of all instances of a service."""
    return tuple(dict.fromkeys(path for each in instances(service).values() for path in each.data))


def with_data(spec: Spec, wanted: Sequence[str], what: str) -> tuple[ServiceSpec, ...]:
    """These services, or all that have data. Raises NotFound, UsageError."""
    if unknown := [name for name in wanted if name not in spec.services]:
        known = ", ".join(sorted(spec.services)) or "none"
        raise NotFound(f"cannot {what} {', '.join(unknown)}: no such service; there are {known}")
    chosen = [spec.services[name] for name in dict.fromkeys(wanted)] or list(spec.services.values())
    if without := [each.name for each in chosen if wanted and not each.data]:
        raise UsageError(
            f"cannot {what} {', '.join(without)}: no data is declared; add `data: [/path]` to it in blackhole.yaml"
        )
    found = tuple(each for each in chosen if each.data)
    if not found:
        raise UsageError(
            f"cannot {what}: no service declares its data; add `data: [/path]` to services in blackhole.yaml"
        )
    return found


def create(
    spec: Spec,
    request: CreateBackupRequest,
    target: Target,
    known: Sequence[BackupSnapshot],
    host: str,
    prepares: Callable[[ServiceSpec], Sequence[str]],
) -> Plan:
    """Opens the repository, then takes each service. `prepares` names what makes a service consistent first."""
    if request.type not in set(BackupType):
        raise UsageError(f"cannot back up: there is no type {request.type!r}; it is full or incremental")
    services = with_data(spec, request.services, "back up")
    names = [each.name for each in services]
    title = f"open the repository {target.location}, make it if there is none"
    args: dict[str, Any] = {"repository": target.folder, "create": True, "services": names}
    steps = [_step(OPEN, target.location, title, args, timeout=600.0)]
    effects = []
    for service in services:
        paths = data_of(service)
        first = prepares(service)
        how = f", {' and '.join(first)} first" if first else ""
        title = f"back up {service.name}: {_paths(paths)}, {request.type}{how}"
        args = {"repository": target.folder, "type": request.type}
        steps.append(_step(TAKE, service.name, title, args, (0,)))
        if request.type == BackupType.INCREMENTAL and parent_of(known, service.name, host) is None:
            has_one = any(each.service == service.name and each.host == host for each in known)
            why = "has no backup without a problem" if has_one else "has no backup yet"
            effects.append(f"{service.name} {why}: all of it is read")
    claims = frozenset({CLAIM, *(f"backup:{each.name}" for each in services)})
    return Plan("backup", tuple(each.name for each in services), tuple(steps), tuple(effects), claims)


def parent_of(known: Sequence[BackupSnapshot], service: str, host: str) -> BackupSnapshot | None:
    """The newest snapshot of a service on this host, which an incremental one is compared to."""
    mine = [each for each in known if each.service == service and each.host == host and not each.problem]
    return max(mine, key=lambda each: each.time_ns, default=None)


def verify(request: VerifyBackupsRequest, target: Target, chosen: Sequence[BackupSnapshot]) -> Plan:
    """Looks at these snapshots, or at everything."""
    args = {"repository": target.folder, "ids": [each.id for each in chosen], "read_data": request.read_data}
    what = ", ".join(map(described, chosen)) if chosen else f"the repository {target.location} and all snapshots"
    how = "every byte" if request.read_data else "that everything is there"
    step = _step(VERIFY, target.location, f"check {what}: {how}", args)
    names = tuple(short(each.id) for each in chosen) or (target.location,)
    return Plan("verify-backup", names, (step,), (), frozenset({"backup:verify"}))


def forget(target: Target, chosen: Sequence[BackupSnapshot]) -> Plan:
    """Takes these snapshots away."""
    step = _forget_step(target, chosen)
    effects = ("their space is freed by `blackhole backup prune`",)
    return Plan("forget-backup", tuple(short(each.id) for each in chosen), (step,), effects, frozenset({CLAIM}))


def prune(target: Target, removable: Sequence[BackupSnapshot], kept: Mapping[str, Sequence[str]]) -> Plan:
    """Forgets what nothing keeps, then frees what no snapshot needs."""
    steps = [_forget_step(target, removable)] if removable else []
    title = f"free what no snapshot of {target.location} needs"
    steps.append(_step(PRUNE, target.location, title, {"repository": target.folder}, tuple(range(len(steps)))))
    count = sum(1 for why in kept.values() if why)
    effects = (f"{counted(count, 'snapshot')} kept; `blackhole backup list` says why each",)
    return Plan("prune-backups", (target.location,), tuple(steps), effects, frozenset({CLAIM}))


def _forget_step(target: Target, chosen: Sequence[BackupSnapshot]) -> PlannedStep:
    listed = ", ".join(map(described, chosen[:10])) + (f" and {len(chosen) - 10} more" if len(chosen) > 10 else "")
    args = {"repository": target.folder, "ids": [each.id for each in chosen]}
    return _step(FORGET, target.location, f"forget {listed}", args, timeout=3600.0)


def repair(request: RepairBackupsRequest, target: Target) -> Plan:
    """A new index, and snapshots without what is lost."""
    step = _step(REPAIR, target.location, f"repair {target.location}: make its index anew, leave out what is lost",
                 {"repository": request.repository})  # fmt: skip
    effects = ("snapshots that have lost files are replaced by ones without them; `blackhole backup heal` first may "
               "bring them back",)  # fmt: skip
    return Plan("repair-backups", (target.location,), (step,), effects, frozenset({CLAIM}))


def heal(request: HealBackupsRequest, target: Target, roots: Sequence[str]) -> Plan:
    """Looks for lost pieces in the live files."""
    args = {"repository": request.repository, "roots": list(roots)}
    title = f"heal {target.location}: look for lost pieces in {_paths(roots)}"
    return Plan(
        "heal-backups", (target.location,), (_step(HEAL, target.location, title, args),), (), frozenset({CLAIM})
    )


def repository(request: RepositoryRequest, target: Target) -> Plan:
    """Makes one, or unlocks it."""
    if request.action == "init":
        args: dict[str, Any] = {"repository": target.folder, "create": True, "fresh": True}
        title = f"make a repository at {target.location}"
        if request.password_file:
            args["password_file"] = request.password_file
            title += f", with a new password in {request.password_file}"
        step = _step(OPEN, target.location, title, args, timeout=600.0)
        effects = ("whoever loses the password loses the backups: keep a copy away from this host",)
        return Plan("init-repository", (target.location,), (step,), effects, frozenset({CLAIM}))
    if request.action == "unlock":
        which = "all locks, also those in use" if request.all else "locks whose owners are gone"
        args = {"repository": target.folder, "all": request.all}
        step = _step(UNLOCK, target.location, f"remove {which} of {target.location}", args, timeout=600.0)
        return Plan("unlock-repository", (target.location,), (step,), (), frozenset())
    raise UsageError(f"cannot do {request.action!r} with a repository: it is init or unlock")


def key(request: RepositoryKeyRequest, target: Target) -> Plan:
    """Adds, removes or changes a password."""
    args = {"repository": target.folder, "action": request.action, "key": request.key,
            "password_file": request.password_file, "ticket": request.ticket}  # fmt: skip
    needs_new = request.action in ("add", "change")
    if needs_new != bool(request.password_file or request.ticket):
        raise UsageError(
            f"cannot {request.action} the password: "
            + ("say where the new one is, with --new-password-file" if needs_new else "no new one is needed for that")
        )
    effect: tuple[str, ...] = ()
    match request.action:
        case "add":
            title = f"add a password to {target.location}"
        case "change":
            title = f"change the password of {target.location}"
            effect = ("the old password no longer opens it: write the new one to where the configuration looks for it",)
        case "remove":
            if not request.key:
                raise UsageError("cannot remove a password: name its key; `blackhole backup repo key list` shows them")
            title = f"remove the password {request.key} of {target.location}"
        case other:
            raise UsageError(f"cannot {other} a password: it is add, remove or change")
    return Plan(f"{request.action}-password", (target.location,),
                (_step(KEY, target.location, title, args, timeout=600.0),), effect, frozenset({CLAIM}))  # fmt: skip


def described(snapshot: BackupSnapshot) -> str:
    """`1f0c22ab of ledger (2026-03-01 02:00, 1.2 G)`."""
    whose = " and ".join(snapshot.services) or snapshot.host or "unknown"
    moment = format_time(snapshot.time_ns)[:16].replace("T", " ")
    return f"{short(snapshot.id)} of {whose} ({moment}Z, {format_size(snapshot.bytes_total)})"


def _paths(paths: Sequence[str]) -> str:
    return " ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _step(
    kind: str, target: str, title: str, args: Mapping[str, Any], after: tuple[int, ...] = (), timeout: float = LONGEST
) -> PlannedStep:
    return PlannedStep(kind, target, title, args, after, timeout)
