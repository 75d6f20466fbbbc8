"""What is tried, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bhtui.core.spec import ProbeSpec


@dataclass(frozen=True, slots=True)
class Wanted:
    """One service, and the data it is to see."""

    name: str
    spawn: Mapping[str, Any] = field(repr=False)
    """How its process is started, as the keeper is asked; holds secrets."""
    probe: ProbeSpec
    contract: str
    """Address at which it answers the contract; empty: it does not."""
    places: Sequence[tuple[str, str]]
    """What lies where, and where it is to be seen."""
    folder: Path
    """An empty folder of the trial's own; its output is there afterwards."""
    timeout: float
    """Seconds until it must be well."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it."""

    problem: str = ""
    """Why it was not well; empty: it was."""
    seconds: float = 0.0
    """From its start until it was well."""
    checked: int = 0
    """What its contract's Verify looked at; 0: it has none."""
    output: str = ""
    """The last lines it wrote, when there is a problem."""
