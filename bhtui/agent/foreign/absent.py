"""The manager of a kind for which there is none here: it says so, and refuses everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bhtui.core.errors import BlackholeError
from bhtui.core.spec import LimitsSpec, RateSpec, RotateSpec, ServiceSpec

from .model import NOTHING, Hold, Observation


class Absent:
    """Manager and subject in one, for services of one kind."""

    def __init__(self, why: str) -> None:
        self._why = why

    def subject(self, spec: ServiceSpec, changed: Callable[[], None]) -> Absent:  # noqa: ARG002 - nothing changes
        return Absent(f"cannot reach {spec.ref}: {self._why}")

    async def observe(self, restarts: Mapping[str, Any] = NOTHING) -> Observation:  # noqa: ARG002 - it has none
        return Observation(None, text=self._why)

    async def start(self) -> None:
        raise BlackholeError(self._why)

    async def stop(self, grace: float | None) -> None:  # noqa: ARG002 - it refuses
        raise BlackholeError(self._why)

    async def restart(self) -> None:
        raise BlackholeError(self._why)

    async def signal(self, number: int) -> None:  # noqa: ARG002 - it refuses
        raise BlackholeError(self._why)

    async def hold(self, limits: LimitsSpec, paths: Sequence[str], before: Mapping[str, Any]) -> Hold:  # noqa: ARG002
        raise BlackholeError(self._why)

    async def restarts(self) -> Mapping[str, Any]:
        return NOTHING

    async def hold_restarts(self) -> None:
        raise BlackholeError(self._why)

    async def let_restarts(self, restarts: Mapping[str, Any]) -> None:
        """There is nothing to be let."""

    async def tail(self, count: int) -> tuple[str, ...]:  # noqa: ARG002 - it wrote nothing
        return ()

    def capture(self, path: Path, rotate: RotateSpec, rate: RateSpec) -> None:
        """There is nothing to be captured."""

    async def close(self) -> None:
        """There is nothing to let go of."""
