"""What a new agent does with each instance: compares what was recorded with what the keeper has. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bhtui.agent.keeper import KeptProcess as Kept
from bhtui.core.spec import Restart, ServiceSpec
from bhtui.core.states import Goal, Result, State

from .record import had_process


class Fate(StrEnum):
    """What is done with an instance."""

    ADOPT = "adopt"  # its process runs
    ENDED = "ended"  # its process has ended while nobody listened
    LOST = "lost"  # it had a process and nobody knows how that ended
    START = "start"  # it should run, and has no process
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of an instance, its entry in the keeper's table, and entries that are to be killed or forgotten."""

    fate: Fate
    kept: Kept | None = None
    surplus: tuple[Kept, ...] = ()


def incarnation_of(kept: Kept) -> int:
    """5 in `api-1#5`."""
    return int(kept.key.rpartition("#")[2])


def by_instance(table: Iterable[Kept]) -> dict[str, list[Kept]]:
    """The keeper's entries of each instance, the newest incarnation last."""
    found: dict[str, list[Kept]] = {}
    for kept in sorted(table, key=incarnation_of):
        found.setdefault(kept.tag["instance"], []).append(kept)
    return found


def judge(spec: ServiceSpec, record: Mapping[str, Any] | None, entries: list[Kept], boot_id: str) -> Verdict:
    """The fate of one instance. `boot_id` is that of the host now."""
    running = [kept for kept in entries if kept.exit is None]
    newest = running[-1] if running else entries[-1] if entries else None
    surplus = tuple(kept for kept in entries if kept is not newest)
    if newest is not None and newest.exit is None:
        return Verdict(Fate.ADOPT, newest, surplus)
    if record is None:
        return Verdict(Fate.LEAVE, None, tuple(entries))
    if newest is not None and had_process(record) and incarnation_of(newest) >= record["incarnation"]:
        return Verdict(Fate.ENDED, newest, surplus)
    return Verdict(_without_process(spec, record, boot_id), None, tuple(entries))


def _without_process(spec: ServiceSpec, record: Mapping[str, Any], boot_id: str) -> Fate:
    rebooted = record["boot"] != boot_id
    if record["goal"] != Goal.UP:
        return Fate.LEAVE  # a stop that a person asked for outlives a reboot, also with `restart: always`
    done = record["state"] == State.STOPPED and record["result"] == Result.SUCCESS
    if rebooted and spec.restart.policy is not Restart.NO:
        return Fate.LEAVE if done and spec.restart.policy is Restart.ON_FAILURE else Fate.START
    if had_process(record):
        return Fate.LOST
    return Fate.LEAVE if done or record["state"] in (State.FAILED, State.STOPPED) else Fate.START
