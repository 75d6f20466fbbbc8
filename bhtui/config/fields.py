"""The kinds of values that sections are made of: read as people write them, checked, kept as plain Python values."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bhtui.core import replica
from bhtui.core.patterns import INVALID
from bhtui.core.units import parse_duration, parse_size

from .shellwords import operator

PLACEHOLDERS = {"{replica}": "1", "{instance}": "x-1", "{port}": "1", **{f"{{port{at}}}": "1" for at in range(2, 10)}}
"""What a service may write where each of its instances has something of its own, and what that may come to."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PERIOD = re.compile(r"(\d+)\s*(min|h|d|w|m|y)")
_PERIOD_SECONDS = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "m": 30 * 86400.0, "y": 365 * 86400.0}


class Section(BaseModel):
    """A mapping with known keys. `INSTEAD` has keys people try, with what to write for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_said(cls, value: Any) -> Any:
        """Without extensions, and without keys that have no value: what stands below them may be commented out."""
        if not isinstance(value, Mapping):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        said = {key: item for key, item in value.items() if item is not None or key not in known}
        return {key: item for key, item in said.items() if not str(key).startswith("x-")}


def text(value: Any) -> str:
    """A scalar as it was written. Raises ValueError."""
    if value is None:
        raise ValueError('there is no value; write "" for an empty one')
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping) and len(value) == 1 and (written := f"{{{next(iter(value))}}}") in PLACEHOLDERS:
        return written  # YAML takes a bare {port} for a mapping
    if isinstance(value, (Mapping, list)):
        raise ValueError("this must be one value, not several")
    written = str(getattr(value, "text", value))
    if "\0" in written:
        raise ValueError("a zero byte cannot be handed to a program")
    return written


def _plain(parse: Callable[[Any], Any]) -> BeforeValidator:
    """A parser that sees a scalar only."""

    def checked(value: Any) -> Any:
        if value is None or isinstance(value, (Mapping, list, bool)):
            text_of = "true or false" if isinstance(value, bool) else "nothing" if value is None else "several values"
            raise ValueError(f"{text_of} does not fit here")
        return parse(value)

    return BeforeValidator(checked)


def command(value: Any) -> tuple[str, ...]:
    """A list as it is; text split as a shell would, which no shell runs. Raises ValueError."""
    if not isinstance(value, list) and (only := operator(text(value))):
        raise ValueError(
            f"no shell runs it, so that {only} would not be understood; "
            f"write [sh, -c, '...'] for a shell, or quote {only} where the program is to be given it"
        )
    words = tuple(map(text, value if isinstance(value, list) else shlex.split(text(value))))
    if not words or not words[0]:
        raise ValueError("there is no program to run")
    return words


def variables(value: Any) -> dict[str, str]:
    """`{KEY: VALUE}` or a list of `KEY=VALUE`, as Compose has both. Raises ValueError."""
    if isinstance(value, Mapping):
        pairs = [(key, text(item)) for key, item in value.items()]
    elif isinstance(value, list):
        split = [text(item).partition("=") for item in value]
        if wrong := [key for key, equals, _ in split if not equals]:
            raise ValueError(f"{wrong[0]!r} has no value; write {wrong[0]}=VALUE")
        pairs = [(key, item) for key, _, item in split]
    else:
        raise ValueError("this must be a mapping or a list of KEY=VALUE")
    return dict(pairs)


def environment(value: Any) -> dict[str, str]:
    """Variables whose names a process can have. Raises ValueError."""
    found = variables(value)
    if wrong := [name for name in found if not VARIABLE.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} cannot be the name of a variable")
    return found


def texts(value: Any) -> tuple[str, ...]:
    """One value or a list of them. Raises ValueError."""
    return tuple(map(text, value)) if isinstance(value, list) else (text(value),)


def address(value: Any) -> str:
    """`host:port`; a bare port is on 127.0.0.1. Raises ValueError."""
    written = text(value)
    host, _, port = written.rpartition(":")
    if not port.isascii() or not port.isdigit():
        raise ValueError(f"{written!r} is not host:port")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"the port {port} is not between 1 and 65535")
    return f"{host or '127.0.0.1'}:{port}"


def socket_address(value: Any) -> str:
    """As `address`, or `unix:PATH`. Raises ValueError."""
    written = text(value)
    return written if written.startswith("unix:") else address(value)


def url(value: Any) -> str:
    """An http or https URL. Raises ValueError."""
    written = text(value)
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{written!r} is not a URL like http://127.0.0.1:8080/health")
    if parts.port == 0:  # also raises ValueError for a port that is no number
        raise ValueError("the port 0 is not between 1 and 65535")
    return written


def probe_url(value: Any) -> str:
    """As `url`, or `http+unix://%2Frun%2Fapp.sock/path` for a socket. Raises ValueError."""
    written = text(value)
    if written.startswith("http+unix://%2F"):
        return written
    return url(value)


def of_each(parse: Callable[[Any], str]) -> Callable[[Any], str]:
    """As `parse`, in which each instance may have its own: `http://127.0.0.1:{port}/`."""

    def checked(value: Any) -> str:
        written = text(value)
        tried = replica.fill(written, {name[1:-1]: example for name, example in PLACEHOLDERS.items()})
        parsed = parse(tried)
        if tried == written:
            return parsed
        return f"127.0.0.1:{written}" if parsed == f"127.0.0.1:{tried}" else written

    return checked


def regex(value: Any) -> str:
    """A regular expression of Python's `re`, good for text and for bytes. Raises ValueError."""
    written = text(value)
    try:
        re.compile(written)
        re.compile(written.encode())
    except INVALID as error:
        raise ValueError(f"{written!r} is not a regular expression: {error}") from None
    return written


def cron(value: Any) -> str:
    """Five fields (six with seconds) as cron has them. Raises ValueError."""
    written = text(value)
    try:
        next(CronSim(written, datetime(2024, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise ValueError(f"{written!r} never comes due") from None
    except (CronSimError, ValueError, OverflowError) as error:
        raise ValueError(f"{written!r} is not a cron expression like '0 2 * * 0' ({error})") from None
    return written


def signal_name(value: Any) -> str:
    """`SIGTERM`, `TERM` or 15, as `SIGTERM`. Raises ValueError."""
    written = text(value).upper()
    if written.isascii() and written.isdigit():
        return signal.Signals(int(written)).name
    name = written if written.startswith("SIG") else f"SIG{written}"
    if name not in signal.Signals.__members__:
        raise ValueError(f"there is no signal {text(value)!r}; one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 ...")
    return name


def umask(value: Any) -> int:
    """An octal number, as shells have it: 022. Raises ValueError."""
    written = text(value)
    if not re.fullmatch(r"(0o)?[0-7]{1,4}", written):
        raise ValueError(f"{written!r} is not an octal number like 022")
    return int(written.removeprefix("0o"), 8)


def period(value: Any) -> float:
    """Seconds in `30min 12h 1d 1w 1m 1y`, where m is a month of 30 days. Raises ValueError."""
    written = text(value)
    match = _PERIOD.fullmatch(written.strip())
    if not match or int(match[1]) == 0:
        raise ValueError(f"{written!r} is not an interval; write 30min, 12h, 1d, 1w, 1m (a month) or 1y")
    return int(match[1]) * _PERIOD_SECONDS[match[2]]


def name(value: Any) -> str:
    """A name as services have them. Raises ValueError."""
    written = text(value)
    if not NAME.fullmatch(written):
        raise ValueError(f"{written!r} is not a name; use a-z, 0-9, - and _, and begin with a letter or a digit")
    return written


Text = Annotated[str, BeforeValidator(text)]
Name = Annotated[str, BeforeValidator(name)]
Duration = Annotated[float, _plain(lambda value: parse_duration(text(value)))]
Wait = Annotated[Duration, Field(gt=0)]
Size = Annotated[int, _plain(lambda value: parse_size(text(value)))]
Command = Annotated[tuple[str, ...], BeforeValidator(command)]
Environment = Annotated[dict[str, str], BeforeValidator(environment)]
Labels = Annotated[dict[str, str], BeforeValidator(variables)]
Texts = Annotated[tuple[str, ...], BeforeValidator(texts)]
Address = Annotated[str, BeforeValidator(address)]
Url = Annotated[str, BeforeValidator(url)]
SocketAddress = Annotated[str, BeforeValidator(of_each(socket_address))]
OwnUrl = Annotated[str, BeforeValidator(of_each(url))]
ProbeUrl = Annotated[str, BeforeValidator(of_each(probe_url))]
Regex = Annotated[str, BeforeValidator(regex)]
Cron = Annotated[str, BeforeValidator(cron)]
SignalName = Annotated[str, BeforeValidator(signal_name)]
Umask = Annotated[int, BeforeValidator(umask)]
Period = Annotated[float, BeforeValidator(period)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
