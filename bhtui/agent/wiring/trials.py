"""How a service is started on trial: as its first instance would be, with other data, apart from the host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from bhtui.agent.rooms.limits.detect import Hierarchies
from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.rooms.supervisor import spawning
from bhtui.agent.rooms.supervisor.instance import Instance
from bhtui.agent.trial.model import Tried, Wanted
from bhtui.agent.trial.run import attempt
from bhtui.core.replica import instance_spec
from bhtui.core.spec import ServiceSpec


async def start(service: ServiceSpec, places: Mapping[str, str], folder: Path, timeout: float) -> Tried:
    """Raises BlackholeError for what cannot be started at all."""
    spec = instance_spec(service, 1)
    instance = Instance(service.instance_names()[0], spec)
    prepared = Limits(Path(os.devnull), Hierarchies(reason="it is on trial")).prepare(instance.name, spec.limits)
    request = await asyncio.to_thread(spawning.build, instance, prepared, Path(os.devnull), os.environ)
    where = [(staged, path) for path, staged in places.items()]
    return await attempt(Wanted(instance.name, request.to_wire(), spec.probe, spec.contract, where, folder, timeout))
