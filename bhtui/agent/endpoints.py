"""The Prometheus endpoint, as the configuration in force wants it: opened, moved, closed while the agent runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import bhtui
from bhtui.agent.events.log import EventLog
from bhtui.agent.rooms.metrics.prometheus import Endpoint, Row
from bhtui.agent.rooms.metrics.room import Metrics
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.spec import Spec
from bhtui.core.status import InstanceStatus

log = logging.getLogger(__name__)


class Endpoints:
    """One endpoint, made when it is first wanted; its port is open while the configuration wants that."""

    def __init__(
        self,
        metrics: Metrics,
        status: Callable[[], Sequence[InstanceStatus]],
        more: Callable[[], Mapping[str, Sequence[Row]]],
        events: EventLog,
    ) -> None:
        self._metrics, self._status, self._more, self._events = metrics, status, more, events
        self._listen = ""
        self._endpoint: Endpoint | None = None

    def follow(self, spec: Spec) -> None:
        """Serves where this configuration says; one that cannot be opened is told and stays closed."""
        if spec.metrics.listen == self._listen:
            return
        self.close()
        self._listen = spec.metrics.listen
        if not self._listen:
            return
        try:
            self._made().start(self._listen)
        except BlackholeError as error:
            log.error("%s", error)
            self._events.append(EventKind.CONFIG_REFUSED, "metrics.listen", str(error))

    def page(self) -> str:
        """What the endpoint has to say now, whether its port is open or not."""
        return self._made().page()

    def _made(self) -> Endpoint:
        if self._endpoint is None:
            self._endpoint = Endpoint(self._metrics, self._status, bhtui.__version__, self._more)
        return self._endpoint

    def observe_request(self, service: str, method: str, status: str, seconds: float) -> None:
        """Counts a call to the agent, where somebody may ask for it."""
        if self._endpoint is not None:
            self._endpoint.observe_request(service, method, status, seconds)

    def close(self) -> None:
        """Closes the port, if it is open."""
        if self._endpoint is not None:
            self._endpoint.close()
