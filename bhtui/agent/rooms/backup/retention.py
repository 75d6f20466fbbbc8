"""Which snapshots are kept, and why. Pure.

Each service is judged for itself, and only what this host made of it: another host, another program and another person
have their own reasons for what they put into the repository. A snapshot is kept when any rule keeps it:

- the newest of all, and the newest in which nothing wrong is known: there is always something to restore;
- the newest `full` of type full, the newest `incremental` of type incremental;
- the newest of each of the last `daily` days, `weekly` weeks and `monthly` months that have one, as restic counts them;
- what lies in the future: a clock was wrong, and no rule can say what it is worth. It counts for no rule.

No snapshot needs another one: what a kept one is made of is freed by no prune.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo

from bhtui.core.backup import BackupSnapshot, BackupType, Retention

SECOND = 1_000_000_000
Reasons = dict[str, tuple[str, ...]]
"""Id: why it is kept; empty: it is not."""


def keep(snapshots: Iterable[BackupSnapshot], rules: Retention, host: str, zone: tzinfo, now_ns: int) -> Reasons:
    """Every snapshot, with the reasons to keep it."""
    reasons: Reasons = {}
    groups: dict[str, list[BackupSnapshot]] = {}
    for each in snapshots:
        if not each.service or not each.run:
            reasons[each.id] = ("made by another program",)
        elif each.host != host:
            reasons[each.id] = (f"made by {each.host}",)
        elif each.time_ns > now_ns:
            reasons[each.id] = ("its time is in the future",)
        else:
            groups.setdefault(each.service, []).append(each)
    for group in groups.values():
        reasons |= _judge(sorted(group, key=lambda each: (-each.time_ns, each.id)), rules, zone)
    return reasons


def removable(reasons: Reasons) -> tuple[str, ...]:
    """The ids that nothing keeps."""
    return tuple(id_ for id_, why in reasons.items() if not why)


def _judge(newest_first: Sequence[BackupSnapshot], rules: Retention, zone: tzinfo) -> Reasons:
    reasons: dict[str, list[str]] = {each.id: [] for each in newest_first}
    reasons[newest_first[0].id].append("newest")
    good = next((each for each in newest_first if not each.problem), newest_first[0])
    if good is not newest_first[0]:
        reasons[good.id].append("newest without a problem")
    for kind, count in ((BackupType.FULL, rules.full), (BackupType.INCREMENTAL, rules.incremental)):
        of_kind = [each for each in newest_first if each.type == kind]
        for number, each in enumerate(of_kind[:count], 1):
            reasons[each.id].append(f"{kind} {number} of {count}")
    for word, count, stretch in (
        ("daily", rules.daily, _day),
        ("weekly", rules.weekly, _week),
        ("monthly", rules.monthly, _month),
    ):
        for each, name in _newest_of_each(newest_first, count, lambda ns, of=stretch: of(_at(ns, zone))):  # type: ignore[misc]
            reasons[each.id].append(f"{word} {name}")
    return {id_: tuple(why) for id_, why in reasons.items()}


def _newest_of_each(
    newest_first: Sequence[BackupSnapshot], count: int, stretch: Callable[[int], str]
) -> Iterable[tuple[BackupSnapshot, str]]:
    """The newest of each of the last stretches of time that have one."""
    seen: dict[str, BackupSnapshot] = {}
    for each in newest_first:
        name = stretch(each.time_ns)
        if name not in seen and len(seen) < count:
            seen[name] = each
    return [(each, name) for name, each in seen.items()]


def _at(time_ns: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(time_ns // SECOND, zone)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _week(moment: datetime) -> str:
    return f"{moment:%G-W%V}"


def _month(moment: datetime) -> str:
    return f"{moment:%Y-%m}"
