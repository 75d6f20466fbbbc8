"""Samples of every host: from its agent, and what that does not have from the Prometheus that has it."""

from __future__ import annotations

import asyncio
import time

from bhtui.cli.settings import Settings
from bhtui.cli.targets import Answers, Target, everywhere, opened
from bhtui.core.errors import UsageError
from bhtui.rpc.blackhole.v1.metrics_pb2 import SeriesRequest, SeriesResponse


def ask(settings: Settings, request: SeriesRequest, url: str | None) -> Answers[SeriesResponse]:
    """`url` is of the Prometheus to ask instead of the one that hosts.yaml declares. Raises UsageError."""
    return asyncio.run(_ask(settings, request, url))


async def _ask(settings: Settings, request: SeriesRequest, url: str | None) -> Answers[SeriesResponse]:
    async with opened(settings) as targets:
        return await everywhere(settings, targets, lambda target: _series(target, request, url))


async def _series(target: Target, request: SeriesRequest, url: str | None) -> SeriesResponse:
    from bhtui.ssh.history import History  # what they need takes a tenth of a second
    from bhtui.ssh.inventory import prometheus_at
    from bhtui.ssh.prometheus import Prometheus

    async def agents(request: SeriesRequest) -> SeriesResponse:
        return await (await target.client()).series(request)

    try:
        at = prometheus_at(url) if url else target.prometheus
    except ValueError as error:
        raise UsageError(f"cannot ask --prometheus {url}: {error}") from None
    if at is None:
        return await agents(request)
    return await History(agents, lambda: True, Prometheus(target.name, at, target.socket), time.time).series(request)
