"""Sets the priorities of a tree that runs: setpriority(2) and ioprio_set(2), thread by thread as Linux has them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from bhtui.core.spec import LimitsSpec

IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282, "armv7l": 314, "i686": 289}
"""Numbers of the system call."""
CLASSES = {"realtime": 1, "best-effort": 2, "idle": 3}
CLASS_SHIFT = 13
WHO_PROCESS = 1
PASSES = 5


def set_tree(members: Callable[[], Collection[int]], limits: LimitsSpec, ours: bool = True) -> dict[str, str]:
    """Sets nice and ionice of every thread; None: as the agent's own. What was not set, and why.

    Not `ours`: a unit or container; None is left as its manager has it.
    """
    nice = os.getpriority(os.PRIO_PROCESS, 0) if limits.nice is None else limits.nice
    wanted = ioprio(limits.ionice)
    problems: dict[str, str] = {}
    seen: set[int] = set()
    for _ in range(PASSES):  # one that was started meanwhile by a thread not reached yet is found by the next pass
        fresh = {thread for pid in members() for thread in _threads(pid)} - seen
        if not fresh:
            break
        for thread in fresh:
            if ours or limits.nice is not None:
                _try(problems, "nice", partial(os.setpriority, os.PRIO_PROCESS, thread, nice))
            if ours or limits.ionice is not None:
                _try(problems, "ionice", partial(_set_ioprio, thread, wanted))
        seen |= fresh
    return problems


def descendants(pid: int | None) -> list[int]:
    """Without groups: a process and its children, theirs included."""
    if pid is None:
        return []
    with suppress(psutil.Error):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return [pid]


def ioprio(text: str | None) -> int:
    """The kernel's number for `best-effort:4`; 0: none of its own."""
    if not text:
        return 0
    name, _, level = text.partition(":")
    return CLASSES[name] << CLASS_SHIFT | int(level or (4 if name == "best-effort" else 0))


def _threads(pid: int) -> set[int]:
    with suppress(OSError):
        return {int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()}
    return set()


def _try(problems: dict[str, str], name: str, act: Callable[[], None]) -> None:
    try:
        act()
    except ProcessLookupError:
        return  # it has just ended
    except OSError as error:
        only_root = "; only root may raise a priority" if isinstance(error, PermissionError) else ""
        problems[name] = f"the kernel refuses it: {error.strerror}{only_root}"


def _set_ioprio(thread: int, value: int) -> None:
    number = IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise OSError(0, "the number of ioprio_set is not known for this machine")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, WHO_PROCESS, thread, value) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
