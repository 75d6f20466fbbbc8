"""How many instances of each service were asked for at run time, in memory as in the database."""

from __future__ import annotations

from bhtui.agent.memory import Overrides
from bhtui.core.override import REPLICAS, Override
from bhtui.core.replica import with_replicas
from bhtui.core.spec import Spec


class ReplicaBook:
    """By service; what is not in it has as many as the configuration declares."""

    def __init__(self, table: Overrides) -> None:
        self._table = table
        self._known = {
            service: values[REPLICAS] for service, values in table.load_overrides().items() if REPLICAS in values
        }

    def of(self, service: str) -> Override | None:
        """What was set of one service, who set it and when."""
        return self._known.get(service)

    def effective(self, declared: Spec) -> Spec:
        """The configuration with the numbers that hold."""
        return with_replicas(declared, {service: int(each.value) for service, each in self._known.items()})

    def change(self, service: str, wanted: Override | None) -> None:
        """Sets it, or goes back to what is declared (None); written first. Raises StoreUnavailable."""
        self._table.save_overrides(service, {REPLICAS: wanted})
        if wanted is None:
            self._known.pop(service, None)
        else:
            self._known[service] = wanted
