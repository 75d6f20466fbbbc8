"""The managers of this host by the kind of service. Each is made when the first service of its kind is declared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from bhtui.core.spec import ServiceKind

from .capture import Captures
from .model import Manager

Devices = Callable[[Sequence[str]], tuple[Collection[str], Sequence[str]]]
"""The devices (`254:0`) below paths, and the paths that are on none."""


HasLevel = Callable[[bytes], bool]
"""Whether a line of a log says its level itself."""


class Managers(Mapping[ServiceKind, Manager]):
    """An agent without units and containers pays nothing for them."""

    def __init__(self, devices: Devices, has_level: HasLevel) -> None:
        self.captures = Captures()
        self._makers: Mapping[ServiceKind, Callable[[], Manager]] = {
            ServiceKind.SYSTEMD: lambda: _units(has_level, self.captures),
            ServiceKind.CONTAINER: lambda: _containers(devices, self.captures),
        }
        self._made: dict[ServiceKind, Manager] = {}

    def __getitem__(self, kind: ServiceKind) -> Manager:
        if kind not in self._made:
            self._made[kind] = self._makers[kind]()
        return self._made[kind]

    def __iter__(self) -> Iterator[ServiceKind]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    async def close(self) -> None:
        """Lets go of everything; what they supervise runs on."""
        await asyncio.gather(*(manager.close() for manager in self._made.values()))


def _units(has_level: HasLevel, captures: Captures) -> Manager:
    from .systemd.manager import Systemd

    return Systemd(has_level, captures)


def _containers(devices: Devices, captures: Captures) -> Manager:
    from .containers.manager import ContainerManager

    return ContainerManager(devices, captures)
