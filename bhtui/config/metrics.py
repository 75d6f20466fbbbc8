"""`metrics`: the Prometheus endpoint, and how far back samples go."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bhtui.core.spec import MetricsSpec

from .fields import Duration, Section, Size, address


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


class History(Section):
    """How far back samples go."""

    fine: Annotated[Duration, Field(ge=60, le=86400)] = 3600.0
    """Samples of every second."""
    coarse: Annotated[Duration, Field(ge=3600, le=366 * 86400)] = 7 * 86400.0
    """Mean, least and greatest of every ten seconds, on disk."""
    space: Annotated[Size, Field(ge=1 << 20)] = 256 << 20
    """What those may take; beyond it the oldest go sooner."""


def fine_only(value: Any) -> Any:
    """A duration instead of the mapping is `fine`."""
    return {"fine": value} if isinstance(value, (str, int, float)) else value


class Metrics(Section):
    """The section."""

    listen: Annotated[str, BeforeValidator(loopback)] = ""
    """Address of the Prometheus endpoint, loopback only. Empty: none."""
    history: Annotated[History, BeforeValidator(fine_only)] = History()
    """How far back samples go."""

    def spec(self) -> MetricsSpec:
        """As a frozen value."""
        return MetricsSpec(self.listen, self.history.fine, self.history.coarse, self.history.space)
