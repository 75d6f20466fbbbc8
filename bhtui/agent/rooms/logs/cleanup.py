"""Removes captured output that is too old: planned by looking, done file by file, never undone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, StepKind
from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.request import CleanupLogsRequest
from bhtui.core.units import format_age, format_size, format_time

from . import files
from .files import LogFile
from .history import Run
from .room import AGENT, Logs

CLEANUP = "logs.cleanup"
TIMEOUT = 300.0


class Old(NamedTuple):
    """A file of which every line is older than asked."""

    path: Path
    bytes: int


class Cleanup:
    """`written` names the instances that may still be written to: their newest file is left alone, however old."""

    def __init__(
        self, logs: Logs, written: Callable[[], Collection[str]], clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._logs, self._written, self._clock = logs, written, clock

    def plan(self, request: CleanupLogsRequest) -> Plan:
        """A step for each instance that has something old enough. Raises UsageError, NotFound."""
        if request.older_than <= 0:
            raise UsageError("cannot clean up the logs: the age must be longer than nothing; write for example 7d")
        self._logs.check_names(request.services)
        before_ns = self._clock() - round(request.older_than * 1e9)
        steps, sources = [], self._logs.sources(request.services)
        for source in sources:
            if old := list(self._old(source.path, source.instance, before_ns)):
                amount = format_size(sum(each.bytes for each in old))
                count = f"{len(old)} file{'s' * (len(old) > 1)}"
                title = f"remove {count} of {source.instance}, {amount}, of before {format_time(before_ns)[:19]}Z"
                args: Mapping[str, Any] = {"path": str(source.path), "before_ns": before_ns}
                steps.append(PlannedStep(CLEANUP, source.instance, title, args, (), TIMEOUT))
        effects = (
            () if steps else (f"no log has a file whose lines are all older than {format_age(request.older_than)}",)
        )
        targets = request.services or tuple(dict.fromkeys(source.service for source in sources))
        return Plan("cleanup-logs", targets, tuple(steps), effects, frozenset({"logs"}))

    def kinds(self) -> list[StepKind]:
        """What the journal is given."""
        return [StepKind(CLEANUP, self._remove, NoUndo("what was removed is gone"))]

    async def _remove(self, call: Call) -> Outcome:
        path, before_ns = Path(call.args["path"]), call.args["before_ns"]
        return Done(detail=await asyncio.to_thread(self._remove_old, path, call.target, before_ns))

    def _remove_old(self, path: Path, instance: str, before_ns: int) -> str:
        count = size = 0
        for each in self._old(path, instance, before_ns):
            try:
                each.path.unlink(missing_ok=True)
            except OSError as error:
                raise BlackholeError(
                    f"cannot remove {each.path}: {(error.strerror or str(error)).lower()}; check its owner"
                ) from error
            count, size = count + 1, size + each.bytes
        with suppress(OSError):
            path.parent.rmdir()  # when it was the last of a service that is gone
        return f"{count} removed, {format_size(size)}" if count else "nothing was left to remove"

    def _old(self, path: Path, instance: str, before_ns: int) -> Iterator[Old]:
        found = [path.parent / name for name in files.rotated_names(path)]
        if instance not in (AGENT, *self._written()):
            found.append(path)
        for each in found:
            with suppress(FileNotFoundError):
                if _newest_ns(each, instance) < before_ns:
                    yield Old(each, each.stat().st_size)


def _newest_ns(path: Path, instance: str) -> int:
    """The time of its last line; of a file without one, when it was written."""
    run = Run("", instance, LogFile(str(path)), 0, 0)
    return run.last_ns if run.start < run.end else path.stat().st_mtime_ns
