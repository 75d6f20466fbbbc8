"""Docker and Podman as a manager of services: hands out a subject for each declared container."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from bhtui.agent.foreign.capture import Captures
from bhtui.agent.foreign.managers import Devices
from bhtui.core.spec import ServiceSpec

from .finding import Engines
from .subject import ContainerSubject


class ContainerManager:
    """Nothing is connected before the first subject is asked for something. `devices`: see `managers.Devices`."""

    def __init__(
        self,
        devices: Devices,
        captures: Captures,
        environ: Mapping[str, str] = os.environ,
        uid: int | None = None,
    ) -> None:
        self._devices, self._captures = devices, captures
        self._engines = Engines(environ, os.getuid() if uid is None else uid)

    def subject(self, spec: ServiceSpec, changed: Callable[[], None]) -> ContainerSubject:
        """The container that a service stands for. `changed` is called when it may be otherwise than observed."""
        return ContainerSubject(spec, self._engines, changed, self._devices, self._captures)

    async def close(self) -> None:
        """Lets go of everything; the containers run on."""
        await self._engines.close()
