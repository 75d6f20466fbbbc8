"""What holds where: overlays for profiles, groups and hosts, laid over the base in this order, and services' profiles.

An overlay's mappings are merged into those below it; anything else takes the place of what is there, and a key without
a value takes it away. `environment`, `labels` and `depends_on` are merged by name also where they are written as lists.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any

from . import envfile
from .document import Document
from .faults import Fault, Path, dotted, suggest
from .fields import NAME
from .restart import from_word
from .sources import split_names

LAYERS = ("profiles", "groups", "hosts")
"""The sections with overlays, the one that wins last."""
COMPOSITION = ("include", *LAYERS)
"""Sections that say how the others come about, and so are in no overlay."""


@dataclass(frozen=True, slots=True)
class Around:
    """Where a configuration is read: this host, and the variables there."""

    host: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    """Of the file `.env`."""

    @classmethod
    def here(cls, base: FilePath) -> Around:
        """This process's environment, which wins over the file `.env` in the folder."""
        found, faults = envfile.read(base / ".env", ()) if (base / ".env").exists() else ({}, [])
        values = {name: value for name, (value, _) in found.items()}
        return cls(socket.gethostname(), {**values, **os.environ}, tuple(faults))


@dataclass(frozen=True, slots=True)
class Layered:
    """What holds here, and what would hold elsewhere."""

    document: Document
    """The base with the overlays that hold."""
    elsewhere: tuple[Document, ...]
    """For each overlay that does not hold, the services and sections that it touches, with it."""
    switched_off: Mapping[str, tuple[str, ...]]
    """Services none of whose profiles is chosen, taken out of `document`."""
    faults: tuple[Fault, ...]


def lay(base: Document, around: Around, chosen: tuple[str, ...] | None) -> Layered:
    """Lays what holds over the base. `chosen` profiles; None: those of BLACKHOLE_PROFILES."""
    if not isinstance(base.data, dict):
        return Layered(base, (), {}, ())
    faults = [*_faults(base)]
    profiles = split_names(around.variables.get("BLACKHOLE_PROFILES", "")) if chosen is None else chosen
    holding = [path for path in _holding(base, around.host, profiles) if isinstance(_value(base, path), dict)]
    others = [path for path in _overlays(base) if path not in holding]
    made = Document(faults=base.faults)
    made.data = made.adopt((), base, ())
    for path in holding:
        _merge(made, (), base, path, dotted(path))
    for name in COMPOSITION:
        made.data.pop(name, None)
    known = _known_profiles(base)
    faults += [
        Fault((), f"there is no profile {name!r}", suggest(name, known) or "none is declared")
        for name in profiles
        if name not in known
    ]
    faults += _profile_faults(made)
    off = dict(_switched_off(made, profiles))
    aside = _only(made, [("services", name) for name in off])
    for name in off:
        del made.data["services"][name]
    elsewhere = [_touched(base, path) for path in others] + ([aside] if off else [])
    return Layered(made, tuple(elsewhere), off, tuple(faults))


def _value(base: Document, path: Path) -> Any:
    here = base.data
    for step in path:
        here = here.get(step) if isinstance(here, dict) else None
    return here


def _mapping(base: Document, name: str) -> dict[str, Any]:
    found = base.data.get(name)
    return found if isinstance(found, dict) else {}


def _overlays(base: Document) -> list[Path]:
    return [(section, name) for section in LAYERS for name in _mapping(base, section) if not name.startswith("x-")]


def _holding(base: Document, host: str, profiles: Iterable[str]) -> Iterator[Path]:
    yield from (("profiles", name) for name in profiles)
    names = (host.lower(), host.lower().partition(".")[0])
    for name, group in _mapping(base, "groups").items():
        patterns = group.get("hosts") if isinstance(group, dict) else None
        words = patterns if isinstance(patterns, list) else [patterns]
        if any(fnmatchcase(each, word.lower()) for word in words if isinstance(word, str) for each in names):
            yield ("groups", name)
    yield from (("hosts", name) for name in _mapping(base, "hosts") if name.lower() in names)


def _faults(base: Document) -> Iterator[Fault]:
    """What is wrong with the overlays as such."""
    for section in LAYERS:
        found = base.data.get(section)
        if found is not None and not isinstance(found, dict):
            yield Fault((section,), f"{section} must be a mapping of names to overlays")
    for path in _overlays(base):
        overlay = _value(base, path)
        if overlay is None:
            continue
        if not isinstance(overlay, dict):
            yield Fault(path, f"{dotted(path)} must be a mapping of sections")
            continue
        if path[0] == "groups" and not _is_names(overlay.get("hosts")):
            yield Fault(path, f"{dotted(path)} does not say whose it is", "write hosts: [web-*] with names of hosts")
        for name in COMPOSITION:
            if (name in overlay and path[0] != "groups") or (name in overlay and name != "hosts"):
                yield Fault((*path, name), f"{dotted(path)} cannot have {name}", "write it at the top level")


def _is_names(value: Any) -> bool:
    words = value if isinstance(value, list) else [value]
    return bool(words) and all(isinstance(word, str) and word for word in words)


def _sections(base: Document, path: Path) -> list[str]:
    """The sections that the overlay has."""
    overlay = _value(base, path) or {}
    return [name for name in overlay if name not in COMPOSITION] if isinstance(overlay, dict) else []


def _known_profiles(base: Document) -> set[str]:
    known = set(_mapping(base, "profiles"))
    holders = [base.data, *(_value(base, path) for path in _overlays(base))]
    for holder in holders:
        services = holder.get("services") if isinstance(holder, dict) else None
        for service in services.values() if isinstance(services, dict) else ():
            known.update(_profiles(service))
    return known


def _profiles(service: Any) -> tuple[str, ...]:
    found = service.get("profiles") if isinstance(service, dict) else None
    words = found if isinstance(found, list) else [found]
    return tuple(word for word in words if isinstance(word, str) and NAME.fullmatch(word))


def _profile_faults(made: Document) -> Iterator[Fault]:
    """Profiles are chosen before variables have values."""
    for name, service in _mapping(made, "services").items():
        written = service.get("profiles") if isinstance(service, dict) else None
        if any(isinstance(word, str) and "$" in word for word in (written if isinstance(written, list) else [written])):
            path = ("services", name, "profiles")
            yield Fault(
                path,
                f"{dotted(path)} cannot hold variables",
                "set BLACKHOLE_PROFILES instead",
                made.place(path),
                made.file(path),
            )


def _switched_off(made: Document, profiles: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, service in _mapping(made, "services").items():
        its = _profiles(service)
        if its and not set(its) & set(profiles):
            yield name, its


def _only(document: Document, paths: Iterable[Path]) -> Document:
    """A document with nothing but these services and sections."""
    made = Document(data={})
    for path in paths:
        if _value(document, path) is None:
            continue
        holder = made.data
        for depth, step in enumerate(path[:-1]):
            made.remember(path[: depth + 1], document, path[: depth + 1])
            holder = holder.setdefault(step, {})
        holder[path[-1]] = made.adopt(path, document, path)
    return made


def _touched(base: Document, path: Path) -> Document:
    services = _value(base, (*path, "services"))
    names = list(services) if isinstance(services, dict) else []
    others = [(name,) for name in _sections(base, path) if name != "services"]
    made = _only(base, [*(("services", name) for name in names), *others])
    if isinstance(_value(base, path), dict):
        _merge(made, (), base, path, dotted(path))
    return made


def _merge(made: Document, path: Path, other: Document, origin: Path, layer: str) -> None:
    """Lays the other's mapping at `origin` over the one at `path`."""
    below: dict[str, Any] = made.at(path)
    for key, value in other.at(origin).items():
        here, there = (*path, key), (*origin, key)
        if not path and key in COMPOSITION:
            continue
        if value is None and path:
            below.pop(key, None)
            continue
        if key in below and _by_name(key, below[key], value):
            if isinstance(below[key], list):
                for index, name in enumerate(_named(key, below[key])):
                    made.remember((*here, name), made, (*here, index))
            below[key] = _named(key, below[key])
            if isinstance(value, dict):
                _merge(made, here, other, there, layer)
            else:  # a list of KEY=VALUE or of services: each entry is where its item is
                for index, (name, item) in enumerate(_named(key, value).items()):
                    made.adopt((*here, name), other, (*there, index), layer)
                    below[key][name] = item
        else:
            below[key] = made.adopt(here, other, there, layer)


_NAMED = ("environment", "labels", "depends_on")


def _by_name(key: str, below: Any, value: Any) -> bool:
    """Whether two values are merged entry by entry."""
    if isinstance(below, dict) and isinstance(value, dict):
        return True
    if key == "restart":
        return isinstance(value, dict) and below is not None
    pair = isinstance(below, (dict, list)) and isinstance(value, (dict, list))
    return key in _NAMED and pair and not any(isinstance(each, (dict, list)) for each in [*_flat(below), *_flat(value)])


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(key: str, value: Any) -> dict[str, Any]:
    """A list that stands for a mapping, as that mapping."""
    if isinstance(value, dict):
        return value
    if key == "restart":
        return dict(from_word(value))
    if key == "depends_on":
        return {str(name): {"condition": "service_started"} for name in value}
    pairs = [str(item).partition("=") for item in value]
    return {name: text if equals else None for name, equals, text in pairs}
