"""What a probe answers, and what is concluded from several answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bhtui.core.states import Health


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One answer. `detail` is one line that says what is wrong, or empty."""

    ok: bool
    degraded: bool = False
    """It answers, and says itself that something is not as it should be."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probes of an instance say, thresholds applied."""

    health: Health = Health.UNKNOWN
    detail: str = ""
    time_ns: int = 0


class Probe(Protocol):
    """Asks one instance how it is."""

    async def ask(self) -> ProbeResult:
        """Never raises for what the instance does. The caller ends it after the probe's timeout."""

    async def close(self) -> None:
        """Gives back what it holds."""


OnVerdict = Callable[[Verdict], None]
