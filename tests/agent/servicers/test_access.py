"""The table of rights and the API say the same."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from bhtui.agent import servicers
from bhtui.agent.servicers.access import ACCESS, ROLE_METADATA, Role, role_of
from bhtui.rpc.blackhole import v1

MODULES = [importlib.import_module(f"{v1.__name__}.{each.name}") for each in pkgutil.iter_modules(v1.__path__)]
SERVICES = [
    service
    for module in MODULES
    if module.__name__.endswith("_pb2")
    for service in module.DESCRIPTOR.services_by_name.values()
]


def test_every_method_of_the_api_has_its_role_and_no_other_is_named() -> None:
    assert {f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods} == set(ACCESS)


def test_every_method_is_implemented() -> None:
    for service in SERVICES:
        made: Any = getattr(servicers, service.name)
        for method in service.methods:
            assert method.name in vars(made), f"{service.name}.{method.name}"
            is_stream = inspect.isasyncgenfunction(vars(made)[method.name])
            assert is_stream == method.server_streaming, f"{service.name}.{method.name}"


def test_what_changes_something_is_not_for_readers() -> None:
    assert {name.rpartition("/")[2] for name, role in ACCESS.items() if role > Role.READ} == {
        "Begin", "Cancel", "Deposit", "Shutdown", "Upgrade",
    }  # fmt: skip


def test_a_client_can_only_bind_itself_to_less() -> None:
    assert role_of({}) is Role.ADMIN
    assert role_of({ROLE_METADATA: "read"}) is Role.READ
    assert role_of({ROLE_METADATA: "owner"}) is Role.ADMIN
