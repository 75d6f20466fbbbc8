"""Healthy when a command ends with 0."""

from __future__ import annotations

import logging

from bhtui.agent import command
from bhtui.core.errors import BlackholeError

from .model import ProbeResult

log = logging.getLogger(__name__)


class CommandProbe:
    """Runs as the service does: its user, environment, folder; killed with all its children when its time is over."""

    def __init__(self, instance: str, argv: tuple[str, ...], timeout: float, here: command.Here) -> None:
        self._instance, self._argv, self._timeout, self._here = instance, argv, timeout, here
        self._setting: command.Setting | None = None
        self._told = ""

    async def ask(self) -> ProbeResult:
        try:
            # Kept as long as this process of the service is probed: it does not change its own either.
            self._setting = self._setting or await self._here()
        except BlackholeError as error:
            return self._cannot(str(error))
        said = await command.run(self._argv, self._setting, timeout=self._timeout)
        if not said.ran:
            return self._cannot(said.text)
        self._told = ""
        return ProbeResult(said.ok, detail="" if said.ok else said.text)

    def _cannot(self, why: str) -> ProbeResult:
        """What cannot be run says nothing about the service; so that is logged, once, as well."""
        if why != self._told:
            log.warning("%s: its health is not known, its probe does not work: %s", self._instance, why)
            self._told = why
        return ProbeResult(False, detail=why)

    async def close(self) -> None:
        """It holds nothing."""
