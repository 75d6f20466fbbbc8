"""What a backup and a restore do with what a preparation says, done by copying."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bhtui.agent.rooms.backup.model import Prepared, Work
from bhtui.agent.rooms.backup.preparing import standins
from bhtui.core.spec import ServiceSpec


def work(service: ServiceSpec, *paths: Path, said: Callable[[str], None] = lambda _: None) -> Work:
    return Work(service, "0123456789abcdef", tuple(map(str, paths)), "full", said)


def take(prepared: Prepared, paths: tuple[str, ...], into: Path) -> None:
    """Copies what would be in the snapshot, below `into` under its whole path."""
    out = {re.sub(r"\\(.)", r"\1", each) for each in prepared.excludes}

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if f"{folder}/{name}" in out]

    for path in (*(prepared.instead if prepared.instead is not None else paths), *prepared.paths):
        shutil.copytree(path, f"{into}{path}", ignore=ignored, symlinks=True, copy_function=_copy)


def stage(path: Path, snapshot: Path, into: Path) -> Path:
    """The restored data beside, as the restore step makes it, before `restored` is called."""
    source = Path(f"{snapshot}{path}")
    stand_in = standins.beside(source)
    shutil.copytree(stand_in if stand_in.exists() else source, into, symlinks=True)
    return into


def _copy(source: str, target: str) -> str:
    """As the engine does: a file that goes while the folder is read is not an error."""
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)
    return target
