"""What systemd refuses, in words and with what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .unit import hindrance

DENIED = (
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    "org.freedesktop.PolicyKit1.Error.NotAuthorized",
)


def refused(verb: str, unit: str, scope: str, name: str, text: str) -> str:
    """`cannot start nginx.service: only root may do that on this host; ...`. `name` is that of the D-Bus error."""
    command = "systemctl --user" if scope == "user" else "systemctl"
    match name.rpartition(".")[2]:
        case "NoSuchUnit":
            why = f"there is no such unit on this host; see `{command} list-unit-files`"
        case "UnitMasked":
            why = f"it is masked, so that nobody can start it; {command} unmask {unit}"
        case "OnlyByDependency":
            why = "its unit refuses to be started or stopped by hand; other units do that"
        case "ShuttingDown":
            why = "the host is shutting down"
        case "JobTypeNotApplicable":
            why = "a unit of this type cannot do that"
        case "TransactionIsDestructive":
            why = f"another job for it is under way; `{command} list-jobs` shows it"
        case _ if name in DENIED:
            why = (
                "systemd lets only root do that; run the agent as root, or allow its user "
                "org.freedesktop.systemd1.manage-units by a polkit rule"
            )
        case _:
            why = f"systemd says: {text or name}"
    return f"cannot {verb} {unit}: {why}"


def job_failed(verb: str, unit: str, scope: str, result: str, p: Mapping[str, Any]) -> str:
    """Why a job that ended so has not done what was asked; empty: how it went is seen from the unit itself."""
    match result:
        case "done" | "failed" | "timeout":
            return ""
        case "dependency":
            why = f"a unit that it requires could not be started; `systemctl list-dependencies {unit}` shows which"
        case "canceled":
            why = "another job took its place"
        case "skipped":
            why = hindrance(unit, scope, p) or "systemd skipped it: one of its conditions does not hold"
        case "assert":
            why = "one of its Assert...= does not hold"
        case "unsupported":
            why = "a unit of this type is not supported on this host"
        case _:
            why = f"its job ended as {result}"
    return f"cannot {verb} {unit}: {why}"


def unmet_condition(p: Mapping[str, Any]) -> str:
    """`its ConditionPathExists=/etc/x does not hold`; empty: all hold."""
    if p.get("ConditionResult", True) or not p.get("ConditionTimestamp"):
        return ""
    for name, _, is_negated, value, state in p.get("Conditions") or ():
        if state < 0:
            return f"its {name}={'!' if is_negated else ''}{value} does not hold"
    return "one of its conditions does not hold"
