"""The types of settings in words."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from bhtui.config import fields as kinds
from bhtui.config import outputs


def validator_of(hint: Any) -> Any:
    return next((each for each in get_args(hint)[1:] if isinstance(each, BeforeValidator)), None)


WORDS = {
    id(validator_of(alias)): word
    for alias, word in (
        (kinds.Text, "text"),
        (kinds.Name, "name"),
        (kinds.Duration, "duration"),
        (kinds.Size, "size"),
        (kinds.Labels, "mapping of names to values, or a list of `KEY=VALUE`"),
        (kinds.Environment, "mapping of variables to values, or a list of `KEY=VALUE`"),
        (kinds.Texts, "text or a list of texts"),
        (kinds.Umask, "octal number"),
        (kinds.Command, "text, or a list of texts"),
        (kinds.Address, "`host:port`"),
        (kinds.SocketAddress, "`host:port` or `unix:PATH`"),
        (kinds.Url, "URL"),
        (kinds.OwnUrl, "URL"),
        (outputs.ServerUrl, "URL"),
        (outputs.SdId, "`NAME@NUMBER`"),
        (outputs.IndexName, "name of an index"),
        (kinds.ProbeUrl, "URL"),
        (kinds.Regex, "regular expression (Python's)"),
        (kinds.Cron, "cron expression"),
        (kinds.SignalName, "signal, by name or number"),
        (kinds.Period, "`30min`, `12h`, `1d`, `1w`, `1m` (a month), `1y`"),
    )
}
VALIDATED = {
    "bare_host": "name or address",
    "container_name": "name of a container",
    "dependencies": "list of services, or a section for each",
    "engine_name": "`docker`, `podman`, or the path of a socket",
    "folder": "folder",
    "fine_only": "duration for `fine`, or section",
    "from_word": "word, or section",
    "io_class": "`idle`, `best-effort:0-7`, `realtime:0-7`",
    "loopback": "`host:port` on loopback",
    "one_or_several": "section, or list of them",
    "option_free": "host name",
    "port": "port",
    "rlimits": "mapping: `{nofile: 1024}` or `{nofile: {soft: 1024, hard: 4096}}`; -1 or `unlimited`",
    "section": "section",
    "secret_files": "mapping of variables to files",
    "test_command": "command",
    "time_zone": "time zone",
    "tuning": "mapping of settings to values",
    "unit_name": "name of a unit",
    "window_start": "`Sun 02:00`, `02:00`, or cron expression",
}
"""By the validator's name, where a field has one of its own."""
PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text"}
ANNOTATIONS = {"Ge": "from {}", "Gt": "above {}", "Le": "to {}"}
SIZES, DURATIONS = (id(validator_of(kinds.Size)),), (id(validator_of(kinds.Duration)),)


def typed(hint: Any, found: list[type[kinds.Section]]) -> str:
    """A type in words; sections that it mentions are added to `found`."""
    origin, inner = get_origin(hint), [each for each in get_args(hint) if each is not NoneType]
    if origin is Annotated:
        validator = validator_of(hint)
        sections: list[type[kinds.Section]] = []
        base = typed(inner[0], sections)
        found += sections
        word = WORDS.get(id(validator)) or (VALIDATED[validator.func.__name__] if validator else base)
        return " ".join([word, *_bounds(hint)])
    if origin in (UnionType, Union):
        return " or ".join(dict.fromkeys([typed(each, found) for each in inner]))
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in inner)
    if origin in (list, tuple):
        return f"list: {typed(inner[0], found)}"
    if hint is Any:
        return "sections"
    if origin is dict:
        return f"mapping: {typed(inner[0], found)} to {typed(inner[1], found)}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ", ".join(f"`{each}`" for each in hint)
    if isinstance(hint, type) and issubclass(hint, kinds.Section):
        found.append(hint)
        return "section"
    return PLAIN[hint]


def _bounds(hint: Any) -> list[str]:
    validator = id(validator_of(hint))
    bounds = [rule for each in get_args(hint)[1:] if isinstance(each, FieldInfo) for rule in each.metadata]
    return [
        ANNOTATIONS[type(rule).__name__].format(value_text(next(iter(vars_of(rule))), validator))
        for rule in bounds
        if type(rule).__name__ in ANNOTATIONS
    ]


def vars_of(rule: Any) -> tuple[Any, ...]:
    """The values of a frozen dataclass."""
    return tuple(getattr(rule, each.name) for each in fields(rule))


def value_text(value: Any, validator: int = 0) -> str:
    if validator in SIZES:
        return next(
            f"{value // (1 << s)}{u}" for s, u in ((30, "G"), (20, "M"), (10, "K"), (0, "")) if value % (1 << s) == 0
        )
    if validator in DURATIONS and value:
        units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
        return next((f"{value / n:.0f}{unit}" for n, unit in units if value % n == 0), f"{value * 1000:g}ms")
    return f"{value:g}" if isinstance(value, float) else str(value)
