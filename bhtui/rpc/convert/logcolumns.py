"""Log lines by column on the wire: a tenth of the work of a message for each line, at both ends."""

from __future__ import annotations

from collections.abc import Sequence

from bhtui.core.logcolumns import LEVEL_NAMES, Lines, Origin, origin
from bhtui.core.logs import LogLine
from bhtui.rpc.blackhole.v1 import logs_pb2 as pb

RANKS = {name: rank for rank, name in enumerate(LEVEL_NAMES)}
RANK_BITS, STDERR, PARTIAL, CONTEXT, GAP = 7, 8, 16, 32, 64
_KINDS = {
    (level, stream, partial, context, gap): rank
    | (STDERR if stream == "stderr" else 0)
    | (PARTIAL if partial else 0)
    | (CONTEXT if context else 0)
    | (GAP if gap else 0)
    for level, rank in RANKS.items()
    for stream in ("stdout", "stderr")
    for partial in (False, True)
    for context in (False, True)
    for gap in (False, True)
}


def encode(lines: Sequence[LogLine]) -> pb.LogColumns:
    """The columns of lines."""
    names = list({(line.service, line.instance): None for line in lines})
    places = {name: place for place, name in enumerate(names)}
    return pb.LogColumns(
        sources=[pb.LogSource(service=service, instance=instance) for service, instance in names],
        times_ns=[line.time_ns for line in lines],
        source=[places[line.service, line.instance] for line in lines],
        kinds=bytes([_KINDS[line.level, line.stream, line.partial, line.context, line.gap] for line in lines]),
        text="\n".join([line.message.replace("\n", "\\n") for line in lines]).encode(),
    )


def decode(columns: pb.LogColumns, host: str = "", offset_ns: int = 0) -> Lines:
    """The lines in columns; what is added to their times puts the host's clock right."""
    alike = list(zip(columns.source, columns.kinds, strict=True))
    if not alike:
        return Lines()
    origins = {key: _origin(columns, host, offset_ns, *key) for key in set(alike)}
    times = list(columns.times_ns)
    return Lines(
        [time_ns + offset_ns for time_ns in times] if offset_ns else times,
        [origins[key] for key in alike],
        columns.text.decode("utf-8", "backslashreplace").split("\n"),
    )


def newest(columns: pb.LogColumns, count: int) -> pb.LogColumns:
    """The last so many lines, at least one."""
    return pb.LogColumns(
        sources=columns.sources,
        times_ns=columns.times_ns[-count:],
        source=columns.source[-count:],
        kinds=columns.kinds[-count:],
        text=b"\n".join(columns.text.rsplit(b"\n", count)[-count:]),
    )


def _origin(columns: pb.LogColumns, host: str, offset_ns: int, source: int, kind: int) -> Origin:
    named = columns.sources[source]
    return origin(
        host,
        named.service,
        named.instance,
        kind & RANK_BITS,
        "stderr" if kind & STDERR else "stdout",
        bool(kind & PARTIAL),
        bool(kind & CONTEXT),
        offset_ns,
        gap=bool(kind & GAP),
    )
