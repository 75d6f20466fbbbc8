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
    max_age: Annotated[Duration, Field(ge=1)] = _DEFAULT.max_age
    max_backups: Annotated[int, Field(ge=0, le=10_000)] = _DEFAULT.max_backups

    def spec(self) -> RotateSpec:
        """As a frozen value."""
        return RotateSpec(**dict(self))


class FileOutput(Section):
    """Everything into one file."""

    type: Literal["file"]
    path: Text
    rotate: Rotate = Rotate()


class SyslogOutput(Section):
    """RFC 5424 to a syslog server."""

    type: Literal["syslog"]
    address: Address
    facility: Literal[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ] = "daemon"  # fmt: skip
    protocol: Literal["udp", "tcp"] = "udp"


class ElasticsearchOutput(Section):
    """The bulk interface of Elasticsearch."""

    type: Literal["elasticsearch"]
    addresses: Annotated[list[Url], Field(min_length=1)]
    index: Text = "blackhole-logs"


Output = Annotated[FileOutput | SyslogOutput | ElasticsearchOutput, Field(discriminator="type")]


class Logging(Section):
    """The section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    rotate: Rotate = Rotate()
    outputs: list[Output] = Field(default_factory=list)
