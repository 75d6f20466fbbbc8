"""`logging.outputs`: where captured lines are sent besides the files of each service; a section for each type."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from bhtui.core.outputs import OutputSpec
from bhtui.core.spec import RotateSpec

from .fields import Duration, Labels, Name, Section, Size, SocketAddress, Text, Wait, text, url

_DEFAULT = RotateSpec()
_SD_ID = re.compile(r"[!#-<>-\\^-~]{1,24}@[0-9.]{1,20}")
PATHS = ("path", "password_file", "api_key_file", "bearer_token_file", "tls.ca_file", "tls.cert_file", "tls.key_file")
"""Keys of outputs that are paths, from the configuration's folder where they are relative."""


def from_base(options: dict[str, Any], absolute: Callable[[str], str]) -> None:
    """Makes the paths among options absolute, in place."""
    for path in PATHS:
        group, _, key = path.rpartition(".")
        holder = options.get(group) if group else options
        if holder and holder.get(key):
            holder[key] = absolute(holder[key])


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


def server_url(value: Any) -> str:
    """An http or https URL without user and password. Raises ValueError."""
    written = url(value)
    if urlsplit(written).username is not None:
        raise ValueError("a password does not belong into the URL; write username and password_file beside it")
    return written


def sd_id(value: Any) -> str:
    """The SD-ID of RFC 5424, `name@enterprise-number`. Raises ValueError."""
    written = text(value)
    if not _SD_ID.fullmatch(written):
        raise ValueError(f"{written!r} is not NAME@NUMBER, like blackhole@32473")
    return written


def index_name(value: Any) -> str:
    """A name that Elasticsearch takes for an index, with strftime codes and `{service}` in it. Raises ValueError."""
    written = text(value)
    filled = datetime(2024, 1, 1, tzinfo=UTC).strftime(written).replace("{service}", "x")
    if not filled or set(filled) & set('\\/*?"<>| ,#:{}%') or filled[0] in "-_+." or filled != filled.lower():
        rule = "small letters, no spaces, none of \\/*?<>|,#: and not -_+. at the start"
        raise ValueError(f"{written!r} cannot name an index: {rule}")
    return written


ServerUrl = Annotated[str, BeforeValidator(server_url)]
SdId = Annotated[str, BeforeValidator(sd_id)]
IndexName = Annotated[str, BeforeValidator(index_name)]
Level = Literal["trace", "debug", "info", "warning", "error", "fatal"]


class Output(Section):
    """What every type of output has."""

    name: Name | None = None
    """What commands, events and the place it has reached call it. None: its type."""
    services: list[Name] = Field(default_factory=list)
    """Only these services; `agent` is the agent's own log. Empty: all, and the agent."""
    exclude: list[Name] = Field(default_factory=list)
    """Not these services."""
    level: Level | None = None
    """The lowest level that is sent; lines without a level are then left out. None: everything."""
    backlog: bool = False
    """Whether a new output also sends what had been captured before it was declared."""
    warn_after: Wait = 60.0
    """Seconds that it may fail or be behind before an event says so."""

    def spec(self, absolute: Callable[[str], str], log_format: str) -> OutputSpec:
        """As a frozen value."""
        own = {key: value for key, value in self.model_dump(mode="json").items() if key not in Output.model_fields}
        kind = own.pop("type")
        if kind == "file" and own["format"] is None:
            own["format"] = log_format
        if str(own.get("address", "")).startswith("unix:"):
            own["address"] = f"unix:{absolute(own['address'].removeprefix('unix:'))}"
        from_base(own, absolute)
        return OutputSpec(
            name=self.name or kind,
            type=kind,
            services=tuple(self.services),
            exclude=tuple(self.exclude),
            level=self.level or "",
            backlog=self.backlog,
            warn_after=self.warn_after,
            options=own,
        )


class Tls(Section):
    """How the other side is known, and how it knows us."""

    ca_file: Text = ""
    """Certificates of the authorities that are trusted, PEM. Empty: those of the system."""
    cert_file: Text = ""
    """Our own certificate, PEM, where the other side asks for one."""
    key_file: Text = ""
    """Its key, PEM without a password. Empty: it is in `cert_file`."""
    verify: bool = True
    """Whether the certificate and the name of the other side are checked. `false` protects against nobody."""


class SyslogTls(Tls):
    """As for every other output, and the name."""

    server_name: Text = ""
    """The name in the server's certificate. Empty: that of `address`."""


class FileOutput(Output):
    """Everything into one file."""

    type: Literal["file"]
    """This kind of output."""
    path: Text
    """The file."""
    format: Literal["text", "json"] | None = None
    """`text`: time, instance, stream, level, message; `json`: as `logs --output json`. None: `logging.format`."""
    rotate: Rotate = Rotate()
    """When it is rotated."""


class SyslogOutput(Output):
    """RFC 5424 to a syslog server."""

    type: Literal["syslog"]
    """This kind of output."""
    address: SocketAddress
    """`host:port` of the server; `unix:PATH` for a socket of this host that takes RFC 5424."""
    facility: Literal[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ] = "daemon"  # fmt: skip
    """Facility of the messages."""
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    """How they are sent: UDP (can lose without a sign), TCP with octet counting, TLS."""
    tls: SyslogTls = SyslogTls()
    """For `protocol: tls`."""
    hostname: Text = ""
    """HOSTNAME of the messages. Empty: that of this host."""
    app_name: Text = ""
    """APP-NAME of the messages. Empty: the service."""
    sd_id: SdId = "blackhole@32473"
    """SD-ID of the structured data: a name and your enterprise number; 32473 is the one of examples."""
    data: Labels = Field(default_factory=dict)
    """More structured data: names and values."""
    max_message: Annotated[Size, Field(ge=480, le=65_000)] = 8192
    """Longest message in bytes; longer ones are sent in parts. rsyslog takes 8K unless told otherwise."""
    bom: bool = True
    """A byte order mark before text that is not plain ASCII, as RFC 5424 demands; `false` where it is shown."""


class Caller(Section):
    """Who we are to a server that is asked by HTTP, and whom we trust."""

    INSTEAD: ClassVar[dict[str, str]] = {
        "password": "write password_file: PATH, or password_env: VARIABLE",
        "api_key": "write api_key_file: PATH, or api_key_env: VARIABLE",
        "bearer_token": "write bearer_token_file: PATH, or bearer_token_env: VARIABLE",
    }

    username: Text = ""
    """User of basic authentication."""
    password_file: Text = ""
    """File with the user's password, one line; read again after a failure."""
    password_env: Text = ""
    """Variable of the agent that holds it."""
    bearer_token_file: Text = ""
    """File with a bearer token."""
    bearer_token_env: Text = ""
    """Variable of the agent that holds it."""
    tls: Tls = Tls()
    """For https."""


class Http(Caller, Output):
    """What outputs that speak HTTP have."""

    compress: bool = True
    """Whether requests are compressed with gzip."""


class ElasticsearchOutput(Http):
    """The bulk interface of Elasticsearch 7, 8 and later and of OpenSearch."""

    type: Literal["elasticsearch"]
    """This kind of output."""
    addresses: Annotated[list[ServerUrl], Field(min_length=1)]
    """Servers; the next is tried when one is away."""
    index: IndexName = "blackhole-logs"
    """Index or data stream of a line: strftime codes are its time in UTC, `{service}` its service."""
    pipeline: Text = ""
    """Ingest pipeline. Empty: that of the index."""
    labels: Labels = Field(default_factory=dict)
    """Names and values in `labels` of each document."""
    api_key_file: Text = ""
    """File with an API key, as Elasticsearch encodes it."""
    api_key_env: Text = ""
    """Variable of the agent that holds it."""


class LokiOutput(Http):
    """The push interface of Loki."""

    type: Literal["loki"]
    """This kind of output."""
    address: ServerUrl
    """The server."""
    tenant: Text = ""
    """Tenant, sent as X-Scope-OrgID. Empty: none."""
    labels: Labels = Field(default_factory=dict)
    """Labels of every stream, besides `job host service instance stream level`."""


class JournaldOutput(Output):
    """The systemd journal of this host, by its native protocol."""

    type: Literal["journald"]
    """This kind of output."""
    path: Text = "/run/systemd/journal/socket"
    """Its socket."""


AnyOutput = Annotated[
    FileOutput | SyslogOutput | ElasticsearchOutput | LokiOutput | JournaldOutput, Field(discriminator="type")
]
