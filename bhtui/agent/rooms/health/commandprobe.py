"""Healthy when a command ends with 0."""

from __future__ import annotations

import os

from bhtui.agent import command

from .model import ProbeResult


class CommandProbe:
    """Runs as the agent's user, killed with all its children when its time is over."""

    def __init__(self, argv: tuple[str, ...], timeout: float) -> None:
        self._argv, self._timeout = argv, timeout

    async def ask(self) -> ProbeResult:
        said = await command.run(self._argv, timeout=self._timeout, env={**os.environ, "LANG": "C.UTF-8"})
        return ProbeResult(said.ok, detail="" if said.ok else said.text)

    async def close(self) -> None:
        """It holds nothing."""
