"""What the policy is told, what it remembers and answers, and what the room needs of others.

Shares are per cent, see core/autoscale.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bhtui.core.autoscale import AutoScaleSpec
from bhtui.core.operation import Operation
from bhtui.core.spec import ServiceSpec, Spec
from bhtui.core.states import Goal, Health, State


class Cause(StrEnum):
    """Why the number was changed."""

    CPU = "cpu"
    MEMORY = "memory"
    CALM = "calm"  # the fewer can carry the load
    BOUNDS = "bounds"  # it was below the minimum or above the maximum
    HAND = "hand"  # not by us


class Notice(StrEnum):
    """Why the number is not changed although somebody should know."""

    AT_MAX = "at-max"
    UNMEASURED = "unmeasured"
    TROUBLE = "trouble"
    MEMORY = "memory"  # another instance does not lower it
    FAILED = "failed"  # the last change could not be made


@dataclass(frozen=True, slots=True)
class Reading:
    """One instance at one moment. Unknown numbers are None, never 0."""

    name: str
    ready_seconds: float | None = None
    """How long ago it was ready for the first time in this run; None: it is not yet, or does not run."""
    well: bool = False
    """Whether it is ready now. One that is not may be so because of its load, which counts therefore."""
    cpu: float | None = None
    memory: float | None = None
    trouble: str = ""
    """`api-2 is failed`; empty: none."""


@dataclass(frozen=True, slots=True)
class Tick:
    """All instances of a service at one moment, for the series."""

    time_ns: int
    count: int
    """How many there are to be."""
    well: int = 0
    """How many of them are warm and well."""
    cpu: float | None = None
    """Shares of those that are warm, added up; the others carry nothing yet. None: none of them could be measured."""
    memory: float | None = None
    complete: bool = False
    """Whether every instance is warm, well and measured."""


@dataclass(frozen=True, slots=True)
class Look:
    """All that is known of one service at the moment `now_ns`."""

    spec: AutoScaleSpec
    count: int
    """How many instances there are to be now."""
    readings: Sequence[Reading]
    ticks: Sequence[Tick]
    """Oldest first, one every `period(spec)` seconds, the present one included."""
    now_ns: int
    limited: bool = False
    """Whether CPU is a share of the instance's limit, and not of one core."""

    @property
    def cpu_of(self) -> str:
        """What CPU is a share of, in words."""
        return "the limit" if self.limited else "one core"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the number."""

    time_ns: int
    before: int
    after: int
    cause: Cause
    reason: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of a service, across restarts of the agent too."""

    count: int = 0
    """How many instances there were to be when this was written; 0: never looked at."""
    changes: tuple[Change, ...] = ()
    """Those of the last hour and the last one whenever it was, oldest first."""
    failures: int = 0
    """Changes in a row that could not be made."""
    failed_ns: int = 0
    memory_before: Mapping[str, float] = field(default_factory=dict)
    """Shares of memory by instance when another one was wanted because of them; empty once it is judged."""
    memory_helped: bool | None = None
    """Whether another instance lowered them; None: not known. When not, memory is no reason for one until they fall."""
    operation: str = ""
    """The one that makes the last change; empty: it has ended."""
    noticed: Mapping[str, int] = field(default_factory=dict)
    """Notice to when it last held, in Unix nanoseconds."""

    @property
    def last(self) -> Change | None:
        """The last change."""
        return self.changes[-1] if self.changes else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done now: `to` instances, or nothing (None), and why."""

    reason: str
    to: int | None = None
    cause: Cause | None = None
    notice: Notice | None = None


# ---- what the room needs of others -----------------------------------------------------------------------------------


class Running(Protocol):
    """An instance, as far as its number is concerned."""

    @property
    def name(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def declared(self) -> bool: ...
    @property
    def state(self) -> State: ...
    @property
    def goal(self) -> Goal: ...
    @property
    def health(self) -> Health: ...
    @property
    def since_ns(self) -> int: ...
    @property
    def last_error(self) -> str: ...


class Instances(Protocol):
    """What is declared, with the numbers that hold, and what runs, as the supervisor knows it."""

    @property
    def spec(self) -> Spec: ...
    @property
    def picture(self) -> Mapping[str, Running]: ...


class Limits(Protocol):
    """The limits that hold."""

    @property
    def effective(self) -> Callable[[ServiceSpec], ServiceSpec]:
        """A declared service with the limits that hold, those set at run time included."""


class Sample(Protocol):
    """What an instance uses now."""

    @property
    def cpu_percent(self) -> float | None: ...
    @property
    def memory_bytes(self) -> int | None: ...


class Usage(Protocol):
    """Measures what instances use."""

    def of(self, instance: str) -> Sample | None: ...


class Operations(Protocol):
    """The journal, as far as it is asked here."""

    def get(self, operation_id: str) -> Operation: ...
    def conflicts(self, claims: Iterable[str]) -> Sequence[Operation]:
        """Open operations that hold one of these."""


Begin = Callable[[str, int, str, str], Awaitable[object]]
"""Begins to give a service a number of instances, for a reason, as the agent, under an id. Raises BlackholeError."""
