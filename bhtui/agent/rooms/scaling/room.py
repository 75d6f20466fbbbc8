"""Scaling by load as people ask for it and see it; what is decided is the watch's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from bhtui.core.autoscale import AutoScaleSpec
from bhtui.core.operation import Plan
from bhtui.core.override import Override
from bhtui.core.request import AutoScaleRequest, ScaleRequest
from bhtui.core.spec import ServiceSpec

from . import requests
from .book import ScaleBook
from .candidates import looked_at
from .model import Instances, Limits


class Scaling:
    """One for the whole host. `cannot_have` says why a service cannot have that many instances; empty: it can."""

    def __init__(
        self,
        book: ScaleBook,
        instances: Instances,
        limits: Limits,
        cannot_have: Callable[[str, int], str],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.clock = clock
        self._book, self._instances, self._limits, self._cannot_have = book, instances, limits, cannot_have
        self.reasons: dict[str, str] = {}
        """By service, what the watch last decided and why; kept by it."""

    def plan(self, request: AutoScaleRequest) -> Plan:
        """Exactly what the request would do. Raises NotFound, UsageError, Refused."""
        return requests.plan(self._known(), request)

    def with_number_by_hand(self, request: ScaleRequest, plan: Plan) -> Plan:
        """The plan of a number that a person sets, which ends scaling by load."""
        return requests.with_number_by_hand(self._known(), request, plan)

    def override(self, service: str, changes: Mapping[str, Override | None]) -> None:
        """Writes down what is changed; it holds at once. Raises StoreUnavailable."""
        self._book.change(service, changes)

    def said(self, service: str) -> str:
        """What holds of a service, in a few words."""
        declared = self._instances.spec.services.get(service)
        spec = self._book.effective(declared) if declared else AutoScaleSpec()
        return f"auto {spec.bounds}" if spec.auto else "by hand"

    def note(self, service: str) -> str:
        """What `status` shows: `auto 1..5: cpu 91 % of the limit over 60 s, above 80 %: 2 -> 3`; empty: not by load."""
        declared = self._instances.spec.services.get(service)
        if declared is None or not (spec := self._book.effective(declared)).auto:
            return ""
        reason = self.reasons.get(service, "")
        return f"auto {spec.bounds}" + (f": {reason}" if reason else "")

    def followed(self) -> dict[str, tuple[ServiceSpec, AutoScaleSpec]]:
        """The services whose number follows their load, with the limits that hold, and what is looked at."""
        found = {}
        for name, declared in self._instances.spec.services.items():
            spec = self._book.effective(declared)
            if spec.auto:
                service = self._limits.effective(declared)
                found[name] = (service, looked_at(spec, service))
        return found

    def _known(self) -> requests.Known:
        services = {name: self._limits.effective(each) for name, each in self._instances.spec.services.items()}
        return requests.Known(services, self._book.of, self._cannot_have)
