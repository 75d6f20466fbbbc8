"""Every value that holds, the defaults too, with where it comes from; secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from bhtui.core.mask import MASK, looks_secret, mask_text, mask_words

from .document import HOME
from .faults import Path, dotted
from .load import PLAIN_GROUPS, Reading
from .model import SECTIONS, WRAPPED

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Value:
    """One value."""

    path: str
    """`services.web.limits.memory`."""
    value: Any
    """As JSON has it; durations in seconds, sizes in bytes. MASK for what is not to be seen."""
    origin: str
    """`blackhole.yaml:12`, `conf.d/db.yaml:3, hosts.web-07`, `web.env:2`, `blackhole.yaml:9, ${PORT}` or `default`."""


def effective(reading: Reading) -> list[Value]:
    """Of all services and sections."""
    found: list[Value] = []
    for name, service in reading.config.services.items():
        found += _of(reading, service, ("services", name), given=True)
    for name in SECTIONS:
        section = getattr(reading.config, name)
        found += _of(reading, section, () if name in WRAPPED else (name,), given=name in reading.config.given)
    return found


def _of(reading: Reading, section: BaseModel, path: Path, given: bool) -> Iterator[Value]:
    for name, field in type(section).model_fields.items():
        here = (*path, field.alias or name)
        value = getattr(section, name)
        is_given = given and name in section.model_fields_set
        if path[:1] == ("services",) and len(path) == 2 and name == "environment":
            yield from _environment(reading, str(path[1]), value)
        else:
            yield from _below(reading, value, here, is_given)


def _below(reading: Reading, value: Any, path: Path, given: bool) -> Iterator[Value]:
    if isinstance(value, BaseModel):
        yield from _of(reading, value, path, given)
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _below(reading, item, (*path, key), given)
    elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
        for index, item in enumerate(value):
            yield from _below(reading, item, (*path, index), given)
    else:
        yield Value(dotted(path), _shown(reading, path, value, given), _origin(reading, path) if given else DEFAULT)


def _environment(reading: Reading, service: str, own: Mapping[str, str]) -> Iterator[Value]:
    """With the variables from env_files, over which those of the configuration win."""
    path = ("services", service, "environment")
    for key, (_, origin) in reading.from_files[service].items():
        if key not in own:
            yield Value(dotted((*path, key)), MASK, origin)
    for key, value in own.items():
        here = (*path, key)
        yield Value(dotted(here), _shown(reading, here, value, True), _origin(reading, _entry(reading, path, key)))


def _entry(reading: Reading, path: Path, key: str) -> Path:
    """Where a variable stands: under its name, or in a list of KEY=VALUE."""
    written = reading.document.at(path)
    if isinstance(written, list):
        return (*path, next(n for n, item in enumerate(written) if str(item).partition("=")[0] == key))
    return (*path, key)


def _origin(reading: Reading, path: Path) -> str:
    at = reading.document.resolve(path)
    origin = reading.document.origins.get(at, HOME)
    words = [f"{origin.file or reading.source}:{reading.document.places[at][0]}", origin.layer]
    return ", ".join([*filter(None, words), *(f"${{{name}}}" for name in _used(reading, at))])


def _used(reading: Reading, at: Path) -> list[str]:
    """The variables that are part of the value, or of the one around or in it."""
    filled = reading.filled.used
    return [name for path in filled if at[: len(path)] == path or path[: len(at)] == at for name in filled[path]]


def _shown(reading: Reading, path: Path, value: Any, given: bool) -> Any:
    if value is None or isinstance(value, bool) or value in ("", (), [], {}):
        return value if not isinstance(value, tuple) else []
    key = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    is_plain = path[:1] == ("services",) and path[2] in PLAIN_GROUPS
    at = reading.document.resolve(path)
    if "environment" in path[:-1]:
        at = _entry(reading, path[:-1], key)
    if looks_secret(key) or path[2:3] == ("secrets",) or (given and not is_plain and _used(reading, at)):
        return MASK
    if isinstance(value, (list, tuple)):
        words = [mask_text(word) if isinstance(word, str) else word for word in value]
        return mask_words(words) if all(isinstance(word, str) for word in words) else words
    return mask_text(value) if isinstance(value, str) else value
