"""Log lines and queries: messages, core types, and the JSON that `blackhole logs` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bhtui.core import logfields
from bhtui.core.logcolumns import Lines, origin
from bhtui.core.logs import LogBatch, LogCount, LogCounts, LogLine, LogPlace, LogsQuery
from bhtui.core.outputs import OutputStatus
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.v1 import logs_pb2 as pb

from . import flat, logcolumns


def line_to_message(line: LogLine) -> pb.LogLine:
    # Spelt out and not by `flat`: this runs for every line of a search.
    return pb.LogLine(
        time_ns=line.time_ns,
        service=line.service,
        instance=line.instance,
        stream=line.stream,
        level=line.level,
        message=line.message,
        partial=line.partial,
        context=line.context,
        gap=line.gap,
    )


def line_from_message(message: pb.LogLine) -> LogLine:
    return LogLine(
        message.time_ns,
        message.service,
        message.instance,
        message.stream,
        message.level,
        message.message,
        message.partial,
        message.context,
        message.gap,
    )


def batch_to_message(batch: LogBatch, columns: bool = False) -> pb.LogBatch:
    places = list(map(place_to_message, batch.places))
    if columns:
        made = flat.encode(batch, pb.LogBatch, lines=(), places=places)
        made.columns.CopyFrom(logcolumns.encode(batch.lines))
        return made
    return flat.encode(batch, pb.LogBatch, lines=[line_to_message(line) for line in batch.lines], places=places)


def batch_from_message(message: pb.LogBatch) -> LogBatch:
    return flat.decode(message, LogBatch, {"lines": lambda _: tuple(lines_of(message)), "places": _places})


def columns_of(message: pb.LogBatch, host: str = "", offset_ns: int = 0) -> Lines:
    """The lines of a batch by column, however they came; `offset_ns` is added to their times."""
    if message.columns.kinds:
        return logcolumns.decode(message.columns, host, offset_ns)
    return Lines(
        [line.time_ns + offset_ns for line in message.lines],
        [
            origin(
                host, line.service, line.instance, logcolumns.RANKS.get(line.level, 0), line.stream, line.partial,
                line.context, offset_ns, gap=line.gap,
            )
            for line in message.lines
        ],
        [line.message for line in message.lines],
    )  # fmt: skip


def lines_of(message: pb.LogBatch) -> list[LogLine]:
    """The lines of a batch, however they came."""
    if not message.columns.kinds:
        return list(map(line_from_message, message.lines))
    lines = logcolumns.decode(message.columns)
    return list(map(lines.line, range(len(lines))))


def newest_of(message: pb.LogBatch, count: int) -> list[LogLine]:
    """The last so many of its lines, at least one; the others are not looked at."""
    if not message.columns.kinds:
        return list(map(line_from_message, message.lines[-count:]))
    return lines_of(pb.LogBatch(columns=logcolumns.newest(message.columns, count)))


def messages_of(message: pb.LogBatch) -> Sequence[pb.LogLine]:
    """The same as messages."""
    return list(map(line_to_message, lines_of(message))) if message.columns.kinds else message.lines


def place_to_message(place: LogPlace) -> pb.LogPlace:
    return flat.encode(place, pb.LogPlace)


def _places(places: Iterable[pb.LogPlace]) -> tuple[LogPlace, ...]:
    return tuple(flat.decode(place, LogPlace, {"before": tuple}) for place in places)


def query_to_message(query: LogsQuery) -> pb.LogsRequest:
    return flat.encode(query, pb.LogsRequest, after=list(map(place_to_message, query.after)))


def by_own_clock(request: pb.LogsRequest, now_ns: int) -> pb.LogsRequest:
    """The request with moments for its ages: whoever asks may have another clock than this host."""
    if not (request.since_ago_ns or request.until_ago_ns):
        return request
    told = pb.LogsRequest()
    told.CopyFrom(request)
    if request.since_ago_ns:
        told.since_ns = max(1, now_ns - request.since_ago_ns)
    if request.until_ago_ns:
        told.until_ns = max(1, now_ns - request.until_ago_ns)
    return told


def query_from_message(message: pb.LogsRequest) -> LogsQuery:
    return flat.decode(message, LogsQuery, {"names": tuple, "fields": tuple, "after": _places})


def counts_to_message(counts: LogCounts) -> pb.LogCounts:
    return flat.encode(counts, pb.LogCounts, counts=[flat.encode(each, pb.LogCount) for each in counts.counts])


def counts_from_message(message: pb.LogCounts) -> LogCounts:
    decode = {"counts": lambda counts: tuple(flat.decode(each, LogCount) for each in counts)}
    return flat.decode(message, LogCounts, decode)


def line_to_json(message: LogLine, host: str = "", late: bool = False) -> dict[str, Any]:
    """The object of `logs --output json`; its keys and their order are fixed."""
    return {
        "time": format_time(message.time_ns),
        "host": host,
        "service": message.service,
        "instance": message.instance,
        "stream": message.stream,
        "level": message.level,
        "message": message.message,
        "partial": message.partial,
        "context": message.context,
        "late": late,
        "fields": dict(found.values) if (found := logfields.parse(message.message)) else {},
    }


def output_to_message(status: OutputStatus) -> pb.LogOutput:
    return flat.encode(status, pb.LogOutput)


def output_from_message(message: pb.LogOutput) -> OutputStatus:
    return flat.decode(message, OutputStatus)
