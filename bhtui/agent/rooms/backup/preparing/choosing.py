"""Which preparations a service needs, from what it declares and from what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bhtui.agent.command import Here
from bhtui.core.replica import instances
from bhtui.core.spec import ServiceSpec

from ..model import Preparation
from .hooks import Hooks
from .mysql import Mysql
from .postgresql import Postgresql
from .redis import Redis
from .sqlite import Sqlite


def choose(service: ServiceSpec, here: Callable[[ServiceSpec], Here]) -> Sequence[Preparation]:
    """In order: its own commands first, so that they end last; then what asks the service; then what looks at files."""
    backup = service.backup
    found: list[Preparation] = []
    if backup.before or backup.after:
        found.append(Hooks(backup.before, backup.after, backup.timeout, here(service)))
    addresses = [one.contract for one in instances(service).values() if one.contract]
    if addresses:
        from .contract import Contract  # needs gRPC's stubs of the contract

        found.append(Contract(addresses, backup.timeout))
    if backup.redis:
        found.append(Redis(backup.redis, backup.timeout))
    if backup.postgresql:
        found.append(Postgresql(service, backup.postgresql, backup.timeout, here(service)))
    if backup.mysql:
        found.append(Mysql(service, backup.mysql, backup.timeout, here(service)))
    if backup.sqlite and not addresses and not backup.postgresql and not backup.mysql:
        found.append(Sqlite())
    return found
