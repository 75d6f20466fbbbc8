"""`metrics`: the Prometheus endpoint, remote write, and how far back samples go."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from bhtui.core.spec import MetricsSpec, RemoteWriteSpec

from .fields import Duration, Labels, Name, Section, Size, Wait, address
from .outputs import Caller, ServerUrl, from_base

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REMOTE = "prometheus"
"""The name of a remote write that has none."""
OURS = frozenset({"authorization", "content-encoding", "content-length", "content-type", "host", "user-agent"})
"""Headers that are made of other keys, or by the protocol."""


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


def label_names(value: dict[str, str]) -> dict[str, str]:
    """Labels as Prometheus takes them. Raises ValueError."""
    for name in value:
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise ValueError(f"{name!r} cannot name a label: letters, digits and _, no digit and no __ at the start")
    return value


def header_names(value: dict[str, str]) -> dict[str, str]:
    """Headers that hold no secret and are not ours. Raises ValueError."""
    for name, said in value.items():
        if name.lower() == "authorization":
            raise ValueError(
                "a secret does not belong into the configuration; write bearer_token_file or password_file"
            )
        if not _HEADER.fullmatch(name) or name.lower() in OURS or not said.isprintable():
            raise ValueError(f"{name!r} cannot be sent as a header of its own")
    return value


def one_or_several(value: Any) -> Any:
    """One section instead of a list of them, or none."""
    return [value] if isinstance(value, dict) else [] if value is None else value


class RemoteWrite(Caller):
    """Every figure of the endpoint, sent by Prometheus' remote write 1.0; the endpoint itself need not be open."""

    url: ServerUrl
    """The whole address: `https://prometheus.example:9090/api/v1/write`."""
    name: Name = REMOTE
    """What commands and events call it, and the folder of what waits. Several need different ones."""
    interval: Annotated[Duration, Field(ge=1, le=3600)] = 15.0
    """Seconds from one taking of the figures to the next."""
    buffer: Annotated[Size, Field(ge=1 << 20)] = 128 << 20
    """Bytes on disk that may wait while the other side is away; beyond it the oldest are given up."""
    warn_after: Wait = 60.0
    """Seconds that it may fail or lag before an event says so."""
    labels: Annotated[Labels, AfterValidator(label_names)] = Field(default_factory=dict)
    """Labels on every series, besides `job: blackhole` and `host`, which may be replaced here."""
    headers: Annotated[Labels, AfterValidator(header_names)] = Field(default_factory=dict)
    """Headers of every request, for a tenant: `X-Scope-OrgID: ops`."""

    def spec(self, absolute: Callable[[str], str]) -> RemoteWriteSpec:
        """As a frozen value."""
        own = {key: value for key, value in self.model_dump(mode="json").items() if key in Caller.model_fields}
        from_base(own, absolute)
        return RemoteWriteSpec(
            self.name, self.url, self.interval, self.buffer, self.warn_after, dict(self.labels), dict(self.headers), own
        )


class Metrics(Section):
    """The section."""

    listen: Annotated[str, BeforeValidator(loopback)] = ""
    """Address of the Prometheus endpoint, loopback only. Empty: none."""
    history: Annotated[History, BeforeValidator(fine_only)] = History()
    """How far back samples go."""

    remote_write: Annotated[list[RemoteWrite], BeforeValidator(one_or_several)] = Field(default_factory=list)
    """Where every figure is sent too: one section, or a list of them. Empty: nowhere."""

    def spec(self, absolute: Callable[[str], str]) -> MetricsSpec:
        """As a frozen value."""
        sent = tuple(each.spec(absolute) for each in self.remote_write)
        return MetricsSpec(self.listen, self.history.fine, self.history.coarse, self.history.space, sent)
