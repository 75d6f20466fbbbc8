"""`logging`: what the agent itself logs, when captured logs are rotated, and where they are sent besides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bhtui.core.spec import RotateSpec

from .fields import Address, Duration, Section, Size, Text, Url

_DEFAULT = RotateSpec()


class Rotate(Section):
    """When a log is rotated and what is kept; the defaults are those of core.RotateSpec."""

    max_size: Annotated[Size, Field(ge=4096)] = _DEFAULT.max_size
    """Bytes after which a new file is begun."""
    max_age: Annotated[Duration, Field(ge=1)] = _DEFAULT.max_age
    """Seconds after its first line after which a new file is begun."""
    max_backups: Annotated[int, Field(ge=0, le=10_000)] = _DEFAULT.max_backups
    """Rotated files that are kept of each instance."""

    def spec(self) -> RotateSpec:
        """As a frozen value."""
        return RotateSpec(**dict(self))


class FileOutput(Section):
    """Everything into one file."""

    type: Literal["file"]
    """This kind of output."""
    path: Text
    """The file."""
    rotate: Rotate = Rotate()
    """When it is rotated."""


class SyslogOutput(Section):
    """RFC 5424 to a syslog server."""

    type: Literal["syslog"]
    """This kind of output."""
    address: Address
    """`host:port` of the server."""
    facility: Literal[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ] = "daemon"  # fmt: skip
    """Facility of the messages."""
    protocol: Literal["udp", "tcp"] = "udp"
    """How they are sent."""


class ElasticsearchOutput(Section):
    """The bulk interface of Elasticsearch."""

    type: Literal["elasticsearch"]
    """This kind of output."""
    addresses: Annotated[list[Url], Field(min_length=1)]
    """Servers; the next is tried when one is away."""
    index: Text = "blackhole-logs"
    """Index that the lines are put into."""


Output = Annotated[FileOutput | SyslogOutput | ElasticsearchOutput, Field(discriminator="type")]


class Logging(Section):
    """The section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of the agent's own log."""
    format: Literal["text", "json"] = "text"
    """Format of the agent's own log; `json`: an object a line, with `level`, `logger`, `message`, perhaps `error`."""
    rotate: Rotate = Rotate()
    """When captured logs are rotated; a service may have its own."""
    outputs: list[Output] = Field(default_factory=list)
    """Where lines are sent besides the files of each service. Checked only: this version does not act on it."""
