"""What sends lines, one file for each type; `make` is the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bhtui.core.outputs import OutputSpec

from ..model import Sink


class Around(NamedTuple):
    """What sinks say about where lines come from."""

    host: str
    version: str


def _file(options: Mapping[str, Any], around: Around) -> Sink:
    from .file import FileSink

    return FileSink(options, around)


def _syslog(options: Mapping[str, Any], around: Around) -> Sink:
    from .syslog import SyslogSink

    return SyslogSink(options, around)


def _elasticsearch(options: Mapping[str, Any], around: Around) -> Sink:
    from .elasticsearch import ElasticsearchSink

    return ElasticsearchSink(options, around)


def _loki(options: Mapping[str, Any], around: Around) -> Sink:
    from .loki import LokiSink

    return LokiSink(options, around)


def _journald(options: Mapping[str, Any], around: Around) -> Sink:
    from .journald import JournaldSink

    return JournaldSink(options, around)


# Each is imported when it is first made, so that a file output does not pay for HTTP and TLS.
KINDS: Mapping[str, Callable[[Mapping[str, Any], Around], Sink]] = {
    "file": _file,
    "syslog": _syslog,
    "elasticsearch": _elasticsearch,
    "loki": _loki,
    "journald": _journald,
}


def make(spec: OutputSpec, around: Around) -> Sink:
    """What sends for an output. Connects later, when there is something to send."""
    return KINDS[spec.type](spec.options, around)
