"""`metrics`: the Prometheus endpoint, and how much history is kept in memory."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from .fields import Duration, Section, address


def loopback(value: Any) -> str:
    """An address that only this host can reach. Raises ValueError."""
    found = address(value)
    host = found.rpartition(":")[0].strip("[]")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ValueError(f"{host} can be reached from outside; listen on 127.0.0.1 and let Prometheus come by a tunnel")
    return found


class Metrics(Section):
    """The section."""

    listen: Annotated[str, BeforeValidator(loopback)] = ""
    """Address of the Prometheus endpoint, loopback only. Empty: none."""
    history: Annotated[Duration, Field(ge=60, le=86400)] = 3600.0
    """Seconds of one-second samples kept in memory. Checked only: this version keeps an hour."""
