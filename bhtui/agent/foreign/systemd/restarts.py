"""Holding the restarts of a unit: a drop-in with `Restart=no`, which systemd reads and a reboot removes.

Restart= is no property that can be set on the bus (`systemctl set-property` refuses it), so it is a file. It lies below
/run, so that whatever becomes of the agent, the next boot is without it. Standard library only: uninstalling asks too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME = "zz-blackhole-window.conf"
"""Drop-ins count in the order of their names, the last wins."""
TEXT = """\
# A maintenance window of the blackhole agent is open: systemd starts this unit again by itself no more.
# The agent removes this file when the window closes; a reboot does too.
[Service]
Restart=no
RestartForceExitStatus=
"""
NEVER = ("", "no")
KILLED, DUMPED = 2, 3
"""CLD_KILLED, CLD_DUMPED: the status is the number of a signal."""
NO_MORE = ("start-limit-hit",)
"""Results after which systemd starts nothing again, whatever Restart= says."""

# ---- what systemd would do, pure -------------------------------------------------------------------------------


def policy(p: Mapping[str, Any]) -> dict[str, Any]:
    """When systemd starts a unit again, of its properties; empty: never by itself."""
    restart, force = p.get("Restart", ""), _statuses(p.get("RestartForceExitStatus"))
    if restart in NEVER and not any(force):
        return {}
    return {"restart": restart, "prevent": _statuses(p.get("RestartPreventExitStatus")), "force": force}


def would_restart(before: Mapping[str, Any], p: Mapping[str, Any]) -> bool:
    """Whether a unit that is at rest has ended so that systemd would have started it again by that policy."""
    result = p.get("Result", "success")
    if not before or p.get("ActiveState") not in ("failed", "inactive") or result in NO_MORE:
        return False
    if not bytes(p.get("InvocationID") or ()):
        return False  # it has not run
    by_signal, status = p.get("ExecMainCode") in (KILLED, DUMPED), p.get("ExecMainStatus", 0)
    if status in before["prevent"][by_signal]:
        return False
    return status in before["force"][by_signal] or _starts_again(before["restart"], result)


def _starts_again(restart: str, result: str) -> bool:
    """The table of Restart= in systemd.service(5)."""
    match restart:
        case "always":
            return True
        case "on-success":
            return result == "success"
        case "on-failure":
            return result != "success"
        case "on-abnormal":
            return result not in ("success", "exit-code")
        case "on-abort":
            return result in ("signal", "core-dump")
        case "on-watchdog":
            return result == "watchdog"
    return False


def _statuses(said: Sequence[Sequence[int]] | None) -> list[list[int]]:
    """Exit codes, and signals."""
    codes, signals = said or ((), ())
    return [list(codes), list(signals)]


# ---- the drop-in -----------------------------------------------------------------------------------------------


def folder(scope: str) -> Path:
    """Where drop-ins lie that are gone after a reboot."""
    if scope == "system":
        return Path("/run/systemd/system")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "systemd/user"


def write(scope: str, unit: str) -> None:
    """The unit is restarted no more, once systemd has read it. Raises OSError."""
    place = folder(scope) / f"{unit}.d"
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    # Whole or not at all: what is half written would be a complaint in the host's journal.
    new = place / f".{NAME}.new"
    new.write_text(TEXT)
    new.replace(place / NAME)


def remove(scope: str, unit: str) -> bool:
    """Whether it was there. Raises OSError."""
    path = folder(scope) / f"{unit}.d" / NAME
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    with contextlib.suppress(OSError):  # others have drop-ins there too
        path.parent.rmdir()
    return True


def left() -> list[tuple[str, str]]:
    """Scopes and units whose drop-ins are there."""
    return [
        (scope, path.parent.name.removesuffix(".d"))
        for scope in ("system", "user")
        for path in sorted(folder(scope).glob(f"*.d/{NAME}"))
    ]
