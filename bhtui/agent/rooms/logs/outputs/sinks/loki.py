"""Loki's push API (JSON, `POST /loki/api/v1/push`): one stream for each instance, output stream and level.

Loki drops an entry that has the time and text of another one of its stream. Lines of one moment have the same stamp
here, so each gets a nanosecond more than the one before it, the same one when it is sent again: equal lines stay, what
was sent twice is there once, and every stream is in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bhtui.agent.outbound.http import Client, reason

from ..model import TAKEN, Outcome, Record, Rejected
from . import Around
from .text import text_of

PUSH = "/loki/api/v1/push"


class LokiSink:
    """A batch is one request."""

    settle_seconds = 0.0

    def __init__(self, options: Mapping[str, Any], around: Around) -> None:
        address = str(options["address"]).rstrip("/")
        self._client = Client(options, [address.removesuffix(PUSH)], around.version)
        self.target = address
        self._labels = {"job": "blackhole", "host": around.host, **dict(options.get("labels") or {})}
        self._headers = {"X-Scope-OrgID": options["tenant"]} if options.get("tenant") else {}

    def send(self, records: Sequence[Record]) -> Outcome:
        """Raises Rejected for what Loki refuses: it takes the other entries all the same."""
        answer = self._client.post(PUSH, self._body(records), "application/json", self._headers)
        if answer.status >= 300:
            raise Rejected(f"{answer.status}: {reason(answer.body)}")
        return TAKEN

    def check(self) -> bool:
        """Every request was answered for."""
        return True

    def flush(self) -> None:
        """Loki has it."""

    def close(self) -> bool:
        """Every request was answered for."""
        self._client.close()
        return True

    def _body(self, records: Sequence[Record]) -> bytes:
        streams: dict[tuple[str, str, str], list[list[str]]] = {}
        services: dict[str, str] = {}
        for record in records:
            services[record.instance] = record.service
            values = streams.setdefault((record.instance, record.stream, record.level), [])
            values.append([str(record.order_ns), text_of(record.text)])
        made = [
            {"stream": self._stream(services[instance], instance, stream, level), "values": values}
            for (instance, stream, level), values in streams.items()
        ]
        return json.dumps({"streams": made}, ensure_ascii=False, separators=(",", ":")).encode()

    def _stream(self, service: str, instance: str, stream: str, level: str) -> dict[str, str]:
        labels = {**self._labels, "service": service, "instance": instance, "stream": stream}
        return {**labels, "level": level} if level else labels
