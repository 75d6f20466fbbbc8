"""The kinds of steps of this room, do and undo side by side. Each may run again after a crash of the agent."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bhtui.agent.blocking import to_the_end
from bhtui.agent.journal.model import Call, Done, Outcome, StepKind
from bhtui.core.errors import BlackholeError, Refused

from .change import read

NEW_MODE = 0o600
"""Of a file that is new: what a process was started with is its owner's business."""


def kinds(_: object = None) -> list[StepKind]:
    """What the journal is given."""
    return [StepKind("config.write", write, unwrite)]


async def write(call: Call) -> Outcome:
    """Writes the configuration file whole, with the rights it has. Refused when somebody else has written it since."""
    path, text, old = Path(call.args["path"]), call.args["text"], call.args["old"]
    now = await asyncio.to_thread(read, path)
    if now == text:
        return Done(detail="written")
    if now != old:
        raise Refused(f"cannot write {path}: it was changed meanwhile; look at the plan again")
    await to_the_end(replace_file, path, text)
    return Done(detail="written")


async def unwrite(call: Call) -> Outcome:
    """Puts the old text back, or removes a file that was new; one that was changed since is left as it is."""
    path, text, old = Path(call.args["path"]), call.args["text"], call.args["old"]
    now = await asyncio.to_thread(read, path)
    if now == old:
        return Done(detail="as it was")
    if now != text:
        return Done(detail=f"{path} was changed since, and is left so")
    if old is None:
        await to_the_end(path.unlink, missing_ok=True)
    else:
        await to_the_end(replace_file, path, old)
    return Done(detail="as it was")


def replace_file(path: Path, text: str) -> None:
    """Puts a whole file in the place of another, with its mode and owner. Raises BlackholeError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise BlackholeError(f"cannot write {path}: {error.strerror}; correct the rights of {path.parent}") from None
    try:
        with os.fdopen(fd, "wb") as file:
            _take_rights(fd, path)
            file.write(text.encode())
            file.flush()
            os.fsync(fd)
        Path(name).replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            Path(name).unlink()
        raise BlackholeError(f"cannot write {path}: {error.strerror}; nothing was changed") from None


def _take_rights(fd: int, path: Path) -> None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        os.fchmod(fd, NEW_MODE)
        return
    with suppress(PermissionError):  # another's file in a folder of ours: it becomes ours, as with any editor
        os.fchown(fd, seen.st_uid, seen.st_gid)
    os.fchmod(fd, seen.st_mode & 0o7777)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
