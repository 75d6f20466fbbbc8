"""What was set at run time of scaling by load, in memory as in the database."""

from __future__ import annotations

from collections.abc import Mapping

from bhtui.agent.memory import Overrides
from bhtui.core.autoscale import SETTABLE, AutoScaleSpec, in_force
from bhtui.core.override import Override, same
from bhtui.core.spec import ServiceSpec

PREFIX = "scale."


class ScaleBook:
    """By service, then by the name of the value."""

    def __init__(self, table: Overrides) -> None:
        self._table = table
        self._known: dict[str, dict[str, Override]] = {}
        for service, values in table.load_overrides().items():
            mine = {name: values[PREFIX + name] for name in SETTABLE if PREFIX + name in values}
            if mine:
                self._known[service] = mine

    def of(self, service: str) -> Mapping[str, Override]:
        """Those of one service."""
        return self._known.get(service, {})

    def effective(self, declared: ServiceSpec) -> AutoScaleSpec:
        """What holds of a service."""
        return in_force(declared.scale, {name: each.value for name, each in self.of(declared.name).items()})

    def change(self, service: str, changes: Mapping[str, Override | None]) -> None:
        """Sets some, removes others (None); written first. What is as wanted already keeps its origin.

        Raises StoreUnavailable.
        """
        now = self.of(service)
        new = {name: wanted for name, wanted in changes.items() if not same(now.get(name), wanted)}
        if not new:
            return
        self._table.save_overrides(service, {PREFIX + name: value for name, value in new.items()})
        self._known[service] = {name: value for name, value in {**now, **new}.items() if value is not None}
