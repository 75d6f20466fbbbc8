"""Which instances can be reached, and which of them are ready. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from bhtui.core.endpoint import Endpoint, address_of
from bhtui.core.replica import number_of
from bhtui.core.spec import Spec
from bhtui.core.states import Health, State

from .model import Running

Table = Mapping[str, tuple[Endpoint, ...]]
"""By service, in the order of the instances' numbers."""


def table(spec: Spec, instances: Iterable[Running], leaving: Mapping[str, int], before: Collection[str]) -> Table:
    """The endpoints of every service that has ports.

    `leaving` are instances that are about to go, with their incarnation: another process of the same name is not.
    `before` are the addresses that were ready when it was last looked.
    """
    found: dict[str, list[Endpoint]] = {name: [] for name, service in spec.services.items() if service.ports}
    for i in sorted(instances, key=lambda each: number_of(each.name)):
        if i.service in found and i.spec.ports and i.pid is not None:
            ready = leaving.get(i.name) != i.incarnation and is_well(i, address_of(i.spec) in before)
            found[i.service].append(Endpoint(i.name, i.spec.endpoints.host, i.spec.ports[0], ready))
    return {name: tuple(each) for name, each in found.items()}


def is_well(i: Running, before: bool) -> bool:
    """Whether it may be sent requests.

    An agent that has just been started does not know yet how the instances are that it found; until it does, what was
    ready still is: else each restart of the agent would take everything out of use for a moment.
    """
    if i.state is not State.RUNNING:
        return False
    return i.health in (Health.HEALTHY, Health.DEGRADED) or (i.health is Health.UNKNOWN and before)
