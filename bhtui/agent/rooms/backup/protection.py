"""How well each service is protected, beside what was promised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bhtui.core.backup import BackupSnapshot, ServiceProtection

from .catalog import Failure

SECOND = 1_000_000_000


def judge(
    services: Iterable[str],
    snapshots: Sequence[BackupSnapshot],
    failures: Mapping[str, Failure],
    host: str,
    rpo: float,
    now_ns: int,
) -> tuple[ServiceProtection, ...]:
    """Of each service. `rpo` 0: nothing is promised, so nothing is late."""
    return tuple(_judge(each, snapshots, failures.get(each), host, rpo, now_ns) for each in services)


def _judge(
    service: str, snapshots: Sequence[BackupSnapshot], failure: Failure | None, host: str, rpo: float, now_ns: int
) -> ServiceProtection:
    mine = sorted((each for each in snapshots if each.service == service and each.host == host), key=_time)
    good = [each for each in mine if not each.problem]
    last, last_good = (mine[-1].time_ns if mine else 0), (good[-1].time_ns if good else 0)
    drilled = max((each for each in mine if each.drilled_ns), key=lambda each: each.drilled_ns, default=None)
    went_well = [each for each in mine if each.drilled_ns and not each.drill_problem]
    measured = max(went_well, key=lambda each: each.drilled_ns, default=None)
    return ServiceProtection(
        service=service,
        last_ns=last,
        last_good_ns=last_good,
        failed_ns=failure.time_ns if failure else 0,
        error=failure.error if failure else "",
        late=bool(rpo) and now_ns - last_good > rpo * SECOND,
        drilled_ns=drilled.drilled_ns if drilled else 0,
        drill_seconds=measured.drill_seconds if measured else 0.0,
        drill_problem=drilled.drill_problem if drilled else "",
    )


def _time(snapshot: BackupSnapshot) -> int:
    return snapshot.time_ns
