"""What the overview is told of the rest of the agent: what of the host is ours, and what engines of containers say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bhtui.agent.config import ConfigInForce
from bhtui.agent.keeper import Keeper
from bhtui.agent.rooms.limits.detect import base_name
from bhtui.agent.rooms.overview.model import FoundContainer, Ours
from bhtui.agent.rooms.supervisor.room import Supervisor
from bhtui.core.overview import Container
from bhtui.core.spec import ServiceKind

if TYPE_CHECKING:
    from bhtui.agent.foreign.containers.listing import ContainerList


class Surroundings:
    """Asked anew each time; holds nothing but what was last measured of the containers."""

    def __init__(self, config: ConfigInForce, supervisor: Supervisor, keeper: Keeper, run_dir: Path) -> None:
        self._config, self._supervisor, self._keeper = config, supervisor, keeper
        self._installation = base_name(run_dir)
        self._engines: ContainerList | None = None

    def ours(self) -> Ours:
        """What of this host is ours."""
        services = self._config.spec.services.values()
        picture = self._supervisor.picture
        pids = {name: i.pid for name, i in picture.items() if i.pid is not None}
        return Ours(
            instances=pids,
            agent=frozenset((os.getpid(), self._keeper.pid)),
            units={unit: each.name for each in services if (unit := getattr(each, "unit", ""))},
            containers={name: each.name for each in services if (name := getattr(each, "container", ""))},
            container_ids={
                i.run.partition("@")[0]: i.service
                for i in picture.values()
                if i.spec.kind is ServiceKind.CONTAINER and i.run
            },
            services=len(services),
            installation=self._installation,
        )

    async def list(self) -> tuple[Sequence[FoundContainer], Sequence[str]]:
        """The containers of every engine that answers, and why the others do not."""
        if self._engines is None:
            from bhtui.agent.foreign.containers.listing import ContainerList

            self._engines = ContainerList()
        found = await self._engines.list()
        shown = [
            FoundContainer(
                Container(
                    name=each.name,
                    id=each.id,
                    engine=each.engine,
                    image=each.image,
                    state=str(each.status),
                    text=each.detail,
                    cpu_percent=each.cpu_percent,
                    memory_bytes=each.memory_bytes,
                ),
                each.ports,
            )
            for each in found.containers
        ]
        return shown, [f"containers: {trouble}" for trouble in found.troubles]
