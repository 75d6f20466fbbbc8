"""Endpoints: where the instances of a service are reached, and what others are told of them. Pure."""

from __future__ import annotations

from .spec import ServiceSpec


def address_of(spec: ServiceSpec) -> str:
    """`127.0.0.1:8081`, by the first port of an instance; empty: it has none. `spec` is the instance's own."""
    if not spec.ports:
        return ""
    host = spec.endpoints.host
    return f"[{host}]:{spec.ports[0]}" if ":" in host else f"{host}:{spec.ports[0]}"
