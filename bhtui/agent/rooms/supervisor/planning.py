"""What a request would do here: the configuration, the file on the disk and the picture brought together. No I/O but
the reading of that file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bhtui.core.errors import BlackholeError, NotFound
from bhtui.core.operation import Operation, Plan
from bhtui.core.override import Override
from bhtui.core.request import LifeRequest, PastRequest, ReloadConfigRequest, ResumeRequest, ScaleRequest, StartRequest
from bhtui.core.spec import LimitsSpec, Spec

from . import requests, resuming
from .around import around
from .gates import Picture
from .instance import Instance
from .livelimits import cannot_hold
from .model import Config, Limits, Usage
from .reloading import Change
from .replicas import ReplicaBook
from .scaling import kept_numbers, plan_scale, refuse_clashes


class Planner:
    """`picture` and `follows_load` are asked anew for each plan."""

    def __init__(
        self,
        config: Config[Any],
        replicas: ReplicaBook,
        limits: Limits,
        usage: Usage,
        spec: Callable[[], Spec],
        picture: Callable[[], Picture],
        follows_load: Callable[[str], str],
    ) -> None:
        """`spec`: what is in force, with the numbers of replicas that were set; `follows_load`: how, or empty."""
        self.config, self.replicas, self._limits, self._usage = config, replicas, limits, usage
        self._spec, self._picture, self._follows_load = spec, picture, follows_load

    def of(self, request: LifeRequest | ScaleRequest) -> Plan:
        """Exactly what the request would do. Raises NotFound, UsageError, ConfigError, Refused."""
        if isinstance(request, ScaleRequest):
            return plan_scale(self.config.spec, self._spec(), self._picture(), request, self.replicas.of)
        found, told = None, ""
        if isinstance(request, ReloadConfigRequest) or (isinstance(request, StartRequest) and request.brings_config):
            found = self.config.candidate(request.config_yaml, request.config_path)
        elif isinstance(request, StartRequest):
            found, told = self._from_disk()
        old = self.config.text
        if found is None:
            plan = requests.plan(self._spec(), self._picture(), request)
            return replace(plan, effects=(told, *plan.effects)) if told else plan
        new = self.replicas.effective(found[0])
        refuse_clashes(found[0], new, f"cannot apply {found[1].path}")
        change = Change(new, found[1].yaml, found[1].path, old.yaml, old.path)
        plan = requests.plan(self._spec(), self._picture(), request, change, self._cannot_hold)
        kept = kept_numbers(new.services, found[0], self._set_by_hand)
        return replace(plan, effects=(*plan.effects, *kept))

    def _set_by_hand(self, service: str) -> Override | None:
        """The number that was set of a service, unless it follows the load: then it is no surprise."""
        return None if self._follows_load(service) else self.replicas.of(service)

    def of_past(self, request: PastRequest, operation: Operation, plan: Plan) -> Plan:
        """How to go on with, or take back, an operation that has ended. Raises Refused, ConfigError."""
        past = resuming.Past(operation, plan)
        make = resuming.resume if isinstance(request, ResumeRequest) else resuming.roll_back
        texts = resuming.Texts(self.config.text.yaml, self._read, self._on_disk)
        return make(self._spec(), self._picture(), texts, past, self._cannot_hold)

    def around(self, services: Sequence[str]) -> tuple[Plan, int]:
        """The plan that stops services with what depends on them, and then, after so many steps, starts what was up.

        Raises NotFound.
        """
        return around(self._spec(), self._picture(), services)

    def _on_disk(self, path: str) -> str:
        """The digest of what a file declares now; empty: it cannot be read, or is not right."""
        try:
            return self.config.candidate("", path)[0].digest
        except BlackholeError:
            return ""

    def _cannot_hold(self, i: Instance, limits: LimitsSpec) -> str:
        """Why it cannot be held to other declared limits while it runs; empty: it can."""
        effective, sample = self._limits.effective, self._usage.of(i.name)
        before, after = (effective(each).limits for each in (i.spec, replace(i.spec, limits=limits)))
        return cannot_hold(before, after, sample.memory_bytes if sample else None, self._limits.holder)

    def _read(self, yaml: str, path: str) -> Spec:
        """Another configuration, with the numbers of replicas that hold. Raises ConfigError, NotFound."""
        return self.replicas.effective(self.config.candidate(yaml, path)[0])

    def _from_disk(self) -> tuple[tuple[Spec, Any] | None, str]:
        """The configuration file when it has changed, and what is to be said when it is gone."""
        try:
            return self.config.changed_on_disk(), ""
        except NotFound:
            if not self._spec().digest:  # nothing was ever put in force
                raise
            return None, f"{self.config.text.path} is gone; the configuration in force stays"
