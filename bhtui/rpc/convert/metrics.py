"""Series and their queries: messages and core types."""

from __future__ import annotations

from collections.abc import Iterable

from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.series import Series, SeriesQuery
from bhtui.rpc.blackhole.v1 import metrics_pb2 as pb

from . import flat


def series_to_message(series: Series) -> pb.Series:
    return flat.encode(series, pb.Series)


def series_from_message(message: pb.Series) -> Series:
    return flat.decode(message, Series, dict.fromkeys(("times_ns", "values", "lows", "highs"), tuple))


def response_to_message(series: Iterable[Series]) -> pb.SeriesResponse:
    return pb.SeriesResponse(series=map(series_to_message, series))


def query_to_message(query: SeriesQuery) -> pb.SeriesRequest:
    return flat.encode(query, pb.SeriesRequest)


def query_from_message(message: pb.SeriesRequest) -> SeriesQuery:
    return flat.decode(message, SeriesQuery, {"names": tuple, "metrics": tuple})


def remote_write_to_message(statuses: Iterable[RemoteWriteStatus]) -> pb.RemoteWriteResponse:
    return pb.RemoteWriteResponse(statuses=[flat.encode(each, pb.RemoteWriteStatus) for each in statuses])


def remote_write_from_message(message: pb.RemoteWriteResponse) -> list[RemoteWriteStatus]:
    return [flat.decode(each, RemoteWriteStatus) for each in message.statuses]
