"""The operations that were begun here: begun, followed, cancelled, and how they go in one line."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from bhtui.core.errors import BlackholeError
from bhtui.rpc.blackhole.v1 import operations_pb2

from .actions import Action, Target
from .models.host import HostView
from .models.operation import ENDED, headline
from .options import Options
from .paint import Span
from .sources.backend import Backend
from .sources.message import Seen

RESULT_FOR = 60.0
"""Seconds that the end of an operation stays there."""


class Ground(Protocol):
    """The console, as far as acts need it."""

    options: Options
    backend: Backend
    now: Callable[[], float]

    def take(self, seen: Seen) -> None: ...
    def say(self, text: str, style: str = "") -> None: ...
    def host(self, name: str) -> HostView: ...


class Acts:
    """Those of the latest act."""

    def __init__(self, console: Ground) -> None:
        self._console = console
        self._begun: list[tuple[str, str]] = []
        """Host and operation."""

    def begin(self, action: Action, targets: Sequence[Target], reason: str) -> list[Coroutine[Any, Any, None]]:
        """What begins and follows it, for each host."""
        self._begun = []
        return [self._begin(action, target, reason) for target in targets]

    async def _begin(self, action: Action, target: Target, reason: str) -> None:
        assert action.request is not None  # only operations come here
        console, host = self._console, target.host.name
        request = action.request(target.services)
        request.id, request.reason = uuid.uuid4().hex, reason
        request.actor.name, request.actor.origin = console.options.actor, console.options.origin
        self._begun.append((host, request.id))
        try:
            console.take(Seen(console.now(), host, await console.backend.begin(host, request)))
            async for operation in console.backend.watch(host, request.id):
                console.take(Seen(console.now(), host, operation))
        except BlackholeError as error:
            console.say(f"✗ {error}", "bad")

    async def cancel(self, host: str, operation: str) -> None:
        """Asks a host to cancel an operation."""
        console = self._console
        try:
            answer: operations_pb2.Operation = await console.backend.cancel(host, operation)
        except BlackholeError as error:
            console.say(f"✗ {error}", "bad")
            return
        console.take(Seen(console.now(), host, answer))
        console.say(f"cancelling {answer.kind} on {host}", "warn")

    def progress(self) -> Span:
        """How the latest act goes; empty when nothing was begun, or its end is old."""
        now = self._console.now()
        mine = [(self._console.host(host), operation) for host, operation in self._begun]
        found = [(view, one) for view, wanted in mine for one in view.operations if one.id == wanted]
        if not found:
            return ("", "")
        if len(found) == 1:
            view, one = found[0]
            old = one.ended_ns and view.instance_age(one.ended_ns, now) > RESULT_FOR
            return ("", "") if old else headline(one, view, now)
        ended = [one for _, one in found if one.state in ENDED]
        failed = sum(one.state != "done" for one in ended)
        told = f", {failed} not done" if failed else ""
        text = f"{found[0][1].kind} on {len(found)} hosts: {len(ended)} ended{told}"
        return (text, "bad" if failed else "ok" if len(ended) == len(found) else "link")
