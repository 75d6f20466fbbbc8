"""What this room needs of others, and what prepares a service for its backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from bhtui.core.operation import Plan
from bhtui.core.spec import ServiceSpec

# ---- what prepares a service ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """One service that is backed up or restored, in one operation."""

    service: ServiceSpec
    """As declared, with its placeholders; `paths` are those of its instances."""
    operation_id: str
    paths: tuple[str, ...]
    """What would be taken: its data, absolute, without symbolic links at the end."""
    type: str
    """`full` or `incremental`."""
    progress: Callable[[str], None]
    """Sets what is shown of the step."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a command writes, taken as one file of the snapshot: a dump."""

    path: str
    """Where it stands in the snapshot, absolute: `/ledger.pgdump`."""
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the agent's environment."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a preparation has made ready. All of a service's preparations are joined."""

    paths: tuple[str, ...] = ()
    """Taken besides the service's data."""
    instead: tuple[str, ...] | None = None
    """Taken instead of the service's data; None: the data is taken as it is."""
    excludes: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    tags: tuple[str, ...] = ()
    """`wal:...`; `service:`, `type:` and `run:` are the room's own."""
    learned: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that `after` is given, also by another life of the agent."""
    note: str = ""
    """What was done, a few words: `checkpointed 2 SQLite databases`."""


class Preparation(Protocol):
    """Makes a service consistent for its backup, and usable after its restore.

    Each method may be called again after a crash of the agent. One that raises fails this service's backup (or its
    restore, whose data from before is then put back), and nothing else.
    """

    name: str
    """A few words for the plan: `SQLite online backup`."""

    async def before(self, work: Work) -> Prepared:
        """Before anything is read. Raises BlackholeError."""

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:
        """When the backup was made or has failed, also after a crash; `learned` is empty when `before` did not end.

        Raises BlackholeError: the backup was made, and is not good.
        """

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:
        """When its data lies ready beside the old and the service is not stopped yet: `staged` maps each path of the
        snapshot to where it lies now. `before_ns`: the moment that was asked for, 0: that of the snapshot.

        Raises BlackholeError.
        """


@runtime_checkable
class Makes(Protocol):
    """A preparation whose `restored` makes data anew from something else in the snapshot: a dump."""

    def makes(self, data: Sequence[str], held: Sequence[str]) -> Mapping[str, str]:
        """Which of a service's data it makes of which path of a snapshot that holds these. Raises BlackholeError."""


class Loading(Protocol):
    """One database that is brought back from a dump while its server runs. Each may be called again after a crash."""

    async def load(self, dump: Path, progress: Callable[[str], None]) -> None:
        """Puts what the dump holds in the place of the database, which is kept aside. Raises BlackholeError."""

    async def take_back(self) -> str:
        """The database from before is in its place; what was done, empty: nothing. Raises BlackholeError."""

    async def settle(self, keep: bool) -> str:
        """The database from before is dropped, or kept under the name that is told. Raises BlackholeError."""


@runtime_checkable
class Loads(Protocol):
    """A preparation that brings single databases back."""

    def dump_of(self, database: str, held: Sequence[str]) -> str:
        """The path of its dump in a snapshot that holds these. Raises NotFound, UsageError."""

    async def loading(self, work: Work, database: str) -> Loading:
        """For one database. Raises BlackholeError."""


Preparations = Callable[[ServiceSpec], Sequence[Preparation]]
"""What prepares this service, in order; undone in reverse."""


# ---- what other rooms do -------------------------------------------------------------------------------------------


class Life(Protocol):
    """The supervisor."""

    def around(self, services: Sequence[str]) -> tuple[Plan, int]:
        """How these services are stopped with what depends on them, and started again as far as they were up.

        The first steps of the plan, as many as the number says, are the stops. Raises NotFound.
        """
