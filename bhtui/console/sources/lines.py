"""Answers a log request from lines at hand, as a host would: for replays, where there is none. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from bhtui.core import logfields
from bhtui.core.logs import LEVELS, bucket_for
from bhtui.rpc.blackhole.v1 import logs_pb2

_RANK = {name: rank for rank, name in enumerate(LEVELS)}


def wants(request: logs_pb2.LogsRequest) -> Callable[[logs_pb2.LogLine], bool]:
    """Whether a line is asked for; `tail` is left to the caller."""
    names, lowest = set(request.names), _RANK.get(request.level, -1)
    pattern = re.compile(request.grep, re.IGNORECASE if request.ignore_case else re.NOFLAG) if request.grep else None
    conditions = [logfields.Condition.read(text) for text in request.fields]

    def holds(message: str) -> bool:
        found = logfields.parse(message)
        return found is not None and all(one.holds(found.values) for one in conditions)

    def wanted(line: logs_pb2.LogLine) -> bool:
        return (
            (not names or bool(names & {line.service, line.instance}))
            and line.time_ns >= request.since_ns
            and (not request.until_ns or line.time_ns < request.until_ns)
            and (lowest < 0 or _RANK.get(line.level, -1) >= lowest)
            and (pattern is None or (pattern.search(line.message) is None) == request.invert)
            and (not conditions or holds(line.message))
        )

    return wanted


def selected(lines: Iterable[logs_pb2.LogLine], request: logs_pb2.LogsRequest) -> list[logs_pb2.LogLine]:
    """The lines asked for, in the order of time."""
    found = sorted(filter(wants(request), lines), key=lambda line: line.time_ns)
    return found[-request.tail :] if request.tail else found


def counted(lines: Iterable[logs_pb2.LogLine], request: logs_pb2.CountLogsRequest) -> logs_pb2.LogCounts:
    """Their numbers by instance, level and time."""
    found = selected(lines, request.query)
    span = found[-1].time_ns - found[0].time_ns if found else 0
    bucket = request.bucket_ns or bucket_for(span, request.most or 60)
    numbers = Counter((line.service, line.instance, line.level, line.time_ns // bucket * bucket) for line in found)
    counts = [
        logs_pb2.LogCount(service=service, instance=instance, level=level, start_ns=start, lines=count)
        for (service, instance, level, start), count in sorted(numbers.items())
    ]
    return logs_pb2.LogCounts(counts=counts, bucket_ns=bucket, scanned=len(found), done=True)
