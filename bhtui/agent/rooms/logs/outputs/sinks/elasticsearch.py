"""The bulk API of Elasticsearch 7, 8 and later and of OpenSearch: no types, `create`, and an id made from the place.

The same line has the same id whenever it is sent, so what is sent twice is there once: the second gets 409, which is
success. Each item has its own status: 429 and 5xx are sent again, other refusals are final.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring as quoted
from typing import Any
from urllib.parse import quote

from bhtui.agent.outbound.http import Client, reason

from ..model import TAKEN, Outcome, Record, Rejected, SinkDown
from . import Around
from .text import stamp, text_of

CONFLICT = 409
_AGAIN = frozenset({401, 403, 404, 408, 429})
"""Of an item, besides 5xx: the state of the cluster (its disk, its rights, its indices, its queue), not the line."""
_FILTER = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"


class ElasticsearchSink:
    """A batch is one request."""

    settle_seconds = 0.0

    def __init__(self, options: Mapping[str, Any], around: Around) -> None:
        self._client = Client(options, options["addresses"], around.version)
        self.target = " ".join(options["addresses"])
        self._index, self._host = str(options["index"]), around.host
        pipeline = options.get("pipeline")
        self._path = f"/_bulk?{_FILTER}" + (f"&pipeline={quote(pipeline)}" if pipeline else "")
        self._labels = dict(options.get("labels") or {})
        self._indices: dict[tuple[int, str], str] = {}
        self._same = functools.lru_cache(maxsize=4096)(self._make_same)

    def send(self, records: Sequence[Record]) -> Outcome:
        """Raises Rejected for a body that is refused as a whole: too large, as a rule."""
        body = "".join([self._item(record) for record in records]).encode()
        answer = self._client.post(self._path, body, "application/x-ndjson")
        if answer.status >= 300:
            raise Rejected(f"{answer.status}: {reason(answer.body)}")
        return self._outcome(answer.body, len(records))

    def check(self) -> bool:
        """Every line was answered for."""
        return True

    def flush(self) -> None:
        """The cluster has it."""

    def close(self) -> bool:
        """Every line was answered for."""
        self._client.close()
        return True

    def _item(self, record: Record) -> str:
        # Put together from parts that are the same for many lines: json.dumps of it all takes three times as long.
        same = self._same(record.service, record.instance, record.stream, record.level)
        return (
            f'{{"create":{{"_index":{self._index_of(record)},"_id":"{self._id(record)}"}}}}\n'
            f'{{"@timestamp":"{stamp(record.time_ns)}","message":{quoted(text_of(record.text))},'
            f'"log":{{"offset":{record.offset}{same}}}\n'
        )

    def _make_same(self, service: str, instance: str, stream: str, level: str) -> str:
        """What the documents of these lines have in common, from within `log` to the end."""
        rest = {
            "service": {"name": service, "node": {"name": instance}},
            "host": {"name": self._host},
            "stream": stream,
            **({"labels": self._labels} if self._labels else {}),
        }
        within = f',"level":{quoted(level)}' if level else ""
        return f"{within}}},{json.dumps(rest, ensure_ascii=False, separators=(',', ':'))[1:-1]}"

    def _id(self, record: Record) -> str:
        place = f"{self._host}\0{record.instance}\0{record.place}".encode()
        return base64.urlsafe_b64encode(hashlib.blake2b(place, digest_size=15).digest()).decode()

    def _index_of(self, record: Record) -> str:
        key = (record.time_ns // 3_600_000_000_000, record.service)
        found = self._indices.get(key)
        if found is None:
            if len(self._indices) > 1000:
                self._indices.clear()
            found = quoted(index_name(self._index, record))
            self._indices[key] = found
        return found

    def _outcome(self, body: bytes, count: int) -> Outcome:
        try:
            said = json.loads(body)
            if not said.get("errors"):
                return TAKEN
            items = [next(iter(item.values())) for item in said["items"]]
            statuses = [(int(item["status"]), _why(item)) for item in items]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
            raise SinkDown(f"{self._client.address} does not answer as Elasticsearch does: {reason(body)}") from error
        if len(statuses) != count:
            raise SinkDown(f"{self._client.address} answered for {len(statuses)} lines of {count}")
        again = tuple(at for at, (status, _) in enumerate(statuses) if status >= 500 or status in _AGAIN)
        rejected = tuple(
            (at, why)
            for at, (status, why) in enumerate(statuses)
            if 400 <= status < 500 and status != CONFLICT and status not in _AGAIN
        )
        return Outcome(rejected, again, statuses[again[0]][1]) if again else Outcome(rejected)


def _why(item: Mapping[str, Any]) -> str:
    error = item.get("error") or {}
    if not isinstance(error, Mapping):  # some versions give the text alone
        error = {"reason": str(error)}
    said = ": ".join(str(error[key]) for key in ("type", "reason") if error.get(key))
    return f"{item.get('status')} {said}".strip()


def index_name(pattern: str, record: Record) -> str:
    """The pattern with `{service}` and strftime codes filled in, by the UTC time of the line."""
    name = time.strftime(pattern, time.gmtime(record.time_ns // 1_000_000_000)) if "%" in pattern else pattern
    return name.replace("{service}", record.service)
