"""What was set at run time, in memory as in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bhtui.agent.memory import Overrides as Table
from bhtui.core.override import Override, effective
from bhtui.core.spec import ServiceSpec

PREFIX = "limits."


class OverrideBook:
    """By service, then by the name of the limit."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[str, dict[str, Override]] = {}
        for service, values in table.load_overrides().items():
            mine = {key.removeprefix(PREFIX): value for key, value in values.items() if key.startswith(PREFIX)}
            self._known[service] = mine

    def of(self, service: str) -> Mapping[str, Override]:
        """Those of one service."""
        return self._known.get(service, {})

    def effective(self, spec: ServiceSpec) -> ServiceSpec:
        """The declared service with the limits that hold."""
        overrides = self.of(spec.name)
        return replace(spec, limits=effective(spec.limits, overrides)) if overrides else spec

    def change(self, service: str, changes: Mapping[str, Override | None]) -> None:
        """Sets some, removes others (None); written first. Raises StoreUnavailable."""
        self._table.save_overrides(service, {PREFIX + name: value for name, value in changes.items()})
        mine = {**self.of(service), **changes}
        self._known[service] = {name: value for name, value in mine.items() if value is not None}
