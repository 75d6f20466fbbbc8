"""Endpoints: where the instances of a service are reached, and what others are told of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .spec import ServiceSpec


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance that can be reached at a port."""

    instance: str
    host: str
    port: int
    ready: bool
    """Whether it is to be sent anything: it is running, well, and not about to go."""

    @property
    def address(self) -> str:
        return join(self.host, self.port)


def join(host: str, port: int) -> str:
    """`127.0.0.1:8081`, `[::1]:8081`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address_of(spec: ServiceSpec) -> str:
    """The address of an instance, by the first of its ports; empty: it has none. `spec` is the instance's own."""
    return join(spec.endpoints.host, spec.ports[0]) if spec.ports else ""


def variable_of(service: str) -> str:
    """`API_ENDPOINTS`: the variable that holds the ready addresses of a service."""
    return service.upper().replace("-", "_") + "_ENDPOINTS"


def ready_addresses(endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    """Where requests may go."""
    return tuple(each.address for each in endpoints if each.ready)


def to_env(service: str, endpoints: Sequence[Endpoint]) -> str:
    """The file for shells and EnvironmentFile: `API_ENDPOINTS=127.0.0.1:8080,127.0.0.1:8081`."""
    return f"{variable_of(service)}={','.join(ready_addresses(endpoints))}\n"


def to_json(service: str, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The object of the other file, and of the standard input of `on_change`."""
    return {
        "service": service,
        "ready": list(ready_addresses(endpoints)),
        "endpoints": [
            {
                "instance": each.instance,
                "host": each.host,
                "port": each.port,
                "address": each.address,
                "ready": each.ready,
            }
            for each in endpoints
        ],
    }
