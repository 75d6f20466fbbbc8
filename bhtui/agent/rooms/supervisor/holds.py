"""What a maintenance window does to a unit or container, whose restarts are its manager's. Pure.

The manager is told to start it again no more, and after the window to do so as before. What ends meanwhile is in
`backoff` and held, as a process of ours is, and started when the window closes.
"""

from __future__ import annotations

from dataclasses import replace

from bhtui.agent.foreign.model import Observation
from bhtui.core.spec import ServiceKind
from bhtui.core.states import Goal, State

from .instance import Instance, Moved

OVER = "a maintenance window that is over"
AT_REST = (State.STOPPED, State.FAILED)


def is_withheld(i: Instance, seen: Observation) -> bool:
    """Whether it is down because of the window alone; what was, is so until it is let, or runs again."""
    if i.goal is not Goal.UP or i.asking or seen.state not in AT_REST:
        return False
    return (seen.would_restart and not seen.was_asked) or (bool(i.held) and i.run == seen.run)


def is_kept_from_boot(i: Instance, seen: Observation) -> bool:
    """Whether a manager that forgets nothing at a reboot has left it down because its restarts are held."""
    return bool(i.restarts_before) and i.goal is Goal.UP and seen.state in AT_REST and seen.run == i.run


def taken(i: Instance, restarts: dict[str, object], trouble: str, is_off: bool = False) -> Moved:
    """What its manager had is remembered; `trouble`: why it could not be held, or not be put back.

    `is_off`: its manager has it so now. What is only about to be asked of it is not told as a fact.
    """
    return replace(i, restarts_before=restarts, restarts_trouble=trouble, restarts_off=is_off), ()


def manager_of(i: Instance) -> str:
    """Who restarts it, in words."""
    return "systemd" if i.spec.kind is ServiceKind.SYSTEMD else "its engine"


def note(i: Instance, held: str) -> str:
    """What the status says of its manager's restarts; empty: they are as ever, and nothing else was wanted."""
    if i.restarts_trouble:
        return i.restarts_trouble
    if not held or i.held or not i.restarts_off:
        return ""
    return f"{manager_of(i)} does not restart it: {held}"
