"""Holding the restarts of a container: another restart policy, and the one that it was made with put back. Pure.

The engine keeps the policy in its own files, so a reboot does not undo this: what it was is written down first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from .container import NEVER, Container

PODMAN_CHANGES = (5, 1)
"""The first Podman that can change the restart policy of a container that exists."""


def of(found: Container) -> dict[str, Any]:
    """When its engine starts it again; empty: never by itself."""
    return {} if found.policy in NEVER else {"id": found.id, "policy": found.policy}


def would_restart(before: Mapping[str, Any], found: Container, asked: bool) -> bool:
    """Whether it has ended so that its engine would have started it again by that policy. It is at rest."""
    if not before or asked or before["id"] != found.id:
        return False
    name, _, most = before["policy"].partition(":")
    if name != "on-failure":
        return True
    return bool(found.exit_code) and (not most or found.restarts < int(most))


def body(restart: str) -> dict[str, Any]:
    """Of Docker's `update`. `restart`: `no`, `always`, `on-failure:5`."""
    name, _, most = restart.partition(":")
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": int(most or 0)}}


def query(restart: str) -> str:
    """Of Podman's own `update`."""
    name, _, most = restart.partition(":")
    return urlencode({"restartPolicy": name, **({"restartRetries": most} if most else {})})


def podman_cannot(version: str) -> str:
    """Why a Podman cannot change it; empty: it can."""
    number = re.match(r"(\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) >= PODMAN_CHANGES:
        return ""
    return f"podman {version} cannot change the restart policy of a container that exists; 5.1 and newer can"
