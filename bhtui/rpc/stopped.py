"""The mark of an agent that a person has stopped: `stopped` in the state folder. Standard library only.

The agent writes it before it ends and removes it when it runs again. Whoever would start an agent that does not run
looks at it first, on this machine and over SSH alike: what was stopped is not revived by looking at it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bhtui.core.errors import NoConnection
from bhtui.core.units import format_age

NAME = "stopped"


class Wake(Enum):
    """What a reader who finds no agent may do."""

    NEVER = "never"
    UNLESS_STOPPED = "unless stopped"
    ALWAYS = "always"
    TO_START = "to start"
    """As ALWAYS, with a request that starts services: see `coming`."""


class AgentStopped(NoConnection):
    """Somebody stopped the agent, and it was not asked to start it again."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Who stopped the agent, and when (Unix nanoseconds)."""

    by: str
    time_ns: int

    def text(self, host: str, now_ns: int) -> str:
        """One line for people."""
        return f"the agent of {host} was stopped by {self.by} {format_age((now_ns - self.time_ns) / 1e9)} ago"


def parse(text: str) -> Stopped | None:
    """What a mark says; None: there is none. One that cannot be read is a mark all the same."""
    if not text.strip():
        return None
    try:
        found = json.loads(text)
        by = "".join(each for each in str(found["by"]) if each.isprintable())
        return Stopped(by, int(found["time_ns"]))
    except (ValueError, KeyError, TypeError):
        return Stopped("somebody", time.time_ns())


def read(state: Path) -> Stopped | None:
    """The mark in this state folder."""
    try:
        return parse((state / NAME).read_text(errors="replace") or "?")
    except OSError:
        return None


def write(state: Path, by: str, now_ns: int) -> None:
    """Leaves a mark, whole. Raises OSError."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = state / f".{NAME}.{os.getpid()}"
    half.write_text(json.dumps({"by": by, "time_ns": now_ns}) + "\n")
    half.chmod(0o600)
    half.replace(state / NAME)


def clear(state: Path) -> None:
    """Removes the mark, if there is one."""
    (state / NAME).unlink(missing_ok=True)


def start_command(host: str = "") -> str:
    """What a person types to start an agent again."""
    return f"blackhole --host {host} agent start" if host else "blackhole agent start"
