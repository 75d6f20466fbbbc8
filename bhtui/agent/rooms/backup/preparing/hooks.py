"""Commands of a service's own before and after its backup. One that fails fails the backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bhtui.agent.command import Here, run
from bhtui.core.errors import BlackholeError

from ..model import Prepared, Work


class Hooks:
    """Runs `backup.before` and `backup.after`, as the service's user and with its environment."""

    def __init__(self, before: tuple[str, ...], after: tuple[str, ...], timeout: float, here: Here) -> None:
        self._before, self._after, self._timeout, self._here = before, after, timeout, here
        words = [word for word, command in (("before", before), ("after", after)) if command]
        self.name = f"run its command{'s' if len(words) > 1 else ''} {' and '.join(words)}"

    async def before(self, work: Work) -> Prepared:
        """Raises BlackholeError when it ends with an error, or not in time."""
        if self._before:
            await self._run("before", self._before, work, "")
        return Prepared()

    async def after(self, work: Work, learned: Mapping[str, Any], good: bool) -> None:  # noqa: ARG002
        """Runs whether the backup was made or not: BLACKHOLE_BACKUP_RESULT says which. Raises BlackholeError."""
        if self._after:
            await self._run("after", self._after, work, "success" if good else "failure")

    async def restored(self, work: Work, staged: Mapping[str, str], before_ns: int) -> None:
        """Nothing: commands are about the running service."""

    async def _run(self, word: str, command: tuple[str, ...], work: Work, result: str) -> None:
        setting = await self._here()
        told = {
            "BLACKHOLE_BACKUP_TYPE": work.type,
            "BLACKHOLE_BACKUP_PATHS": ":".join(work.paths),
            **({"BLACKHOLE_BACKUP_RESULT": result} if result else {}),
        }
        setting = type(setting)(
            {**setting.env, **told}, setting.cwd, setting.uid, setting.gid, setting.groups, setting.umask
        )
        said = await run(command, setting, timeout=self._timeout)
        if not said.ok:
            raise BlackholeError(f"`backup.{word}` of {work.service.name} failed: {said.text}")
