"""The Prometheus endpoint, as the configuration in force wants it: opened, moved, closed while the agent runs."""

from __future__ import annotations

import logging

from bhtui.agent.events.log import EventLog
from bhtui.agent.rooms.metrics.figures import Figures
from bhtui.agent.rooms.metrics.prometheus import Endpoint
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.spec import Spec

log = logging.getLogger(__name__)


class Endpoints:
    """One endpoint; its port is open while the configuration wants that."""

    def __init__(self, figures: Figures, events: EventLog) -> None:
        self._events = events
        self._listen = ""
        self._endpoint = Endpoint(figures)

    def follow(self, spec: Spec) -> None:
        """Serves where this configuration says; one that cannot be opened is told and stays closed."""
        if spec.metrics.listen == self._listen:
            return
        self.close()
        self._listen = spec.metrics.listen
        if not self._listen:
            return
        try:
            self._endpoint.start(self._listen)
        except BlackholeError as error:
            log.error("%s", error)
            self._events.append(EventKind.CONFIG_REFUSED, "metrics.listen", str(error))

    def page(self) -> str:
        """What the endpoint has to say now, whether its port is open or not."""
        return self._endpoint.page()

    def close(self) -> None:
        """Closes the port, if it is open."""
        self._endpoint.close()
