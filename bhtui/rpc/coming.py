"""The mark of a start that is on its way: `coming` in the state folder. Standard library only.

Whoever starts an agent because services are to be started, or another configuration is to be applied, leaves it. The
agent that finds it waits a moment for that request before it brings up what was up: otherwise this would come up first
with the configuration that the request is about to replace.
"""

from __future__ import annotations

from pathlib import Path

NAME = "coming"


def path(state: Path) -> Path:
    """Where the mark is."""
    return state / NAME


def leave(state: Path) -> None:
    """Raises OSError."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    path(state).touch(mode=0o600)


def is_left(state: Path) -> bool:
    """Whether a request is on its way."""
    return path(state).exists()


def clear(state: Path) -> None:
    """Removes the mark, if there is one. Raises OSError."""
    path(state).unlink(missing_ok=True)
