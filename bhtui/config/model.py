"""The whole file as checked sections. Each section and each service is judged alone, so one fault hides no other."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from .alerts import Alert
from .automation import Automation
from .backup import Backup
from .faults import Fault, Path, dotted, suggest
from .fields import NAME, Section
from .logging import Logging
from .maintenance import Maintenance
from .metrics import Metrics
from .performance import Tuning
from .services import Service, missing_key
from .validation import as_written, from_validation

_S = TypeVar("_S", bound=Section)
_COMPOSE = "services here are processes on the host; leave it out"
INSTEAD = {
    "version": "leave it out: there is one version of this format",
    "networks": _COMPOSE,
    "volumes": "write data: [PATH] in the service for what a backup takes",
    "configs": _COMPOSE,
    "secrets": "write secrets: {VARIABLE: FILE} in the service",
}


class AlertList(Section):
    """The rules, wrapped so that pydantic counts them."""

    alerts: list[Alert] = Field(default_factory=list)
    """The rules. Checked only: this version does not act on it."""


class PerformanceMap(Section):
    """The settings of each service, wrapped likewise."""

    performance: dict[str, Tuning] = Field(default_factory=dict)
    """By service: settings handed to its processes as BLACKHOLE_TUNING_<KEY>."""


@dataclass(slots=True)
class Config:
    """What could be read; a section that could not is as if it were empty."""

    declared: tuple[str, ...] = ()
    """Names of all services, also of those that are wrong."""
    services: dict[str, Service] = field(default_factory=dict)
    logging: Logging = field(default_factory=Logging)
    backup: Backup = field(default_factory=Backup)
    alerts: AlertList = field(default_factory=AlertList)
    maintenance: Maintenance = field(default_factory=Maintenance)
    performance: PerformanceMap = field(default_factory=PerformanceMap)
    automation: Automation = field(default_factory=Automation)
    metrics: Metrics = field(default_factory=Metrics)
    switched_off: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Services that are not declared here, and the profiles that would declare them."""
    given: tuple[str, ...] = ()
    """The sections that the file has."""
    faults: list[Fault] = field(default_factory=list)


SECTIONS: Mapping[str, type[Section]] = {
    "logging": Logging,
    "backup": Backup,
    "alerts": AlertList,
    "maintenance": Maintenance,
    "performance": PerformanceMap,
    "automation": Automation,
    "metrics": Metrics,
}
WRAPPED = frozenset({"alerts", "performance"})


def read_sections(data: Any) -> Config:
    """Checks the shape of everything in the file; what is wrong is in `faults`."""
    config = Config()
    if data is None:
        config.faults.append(Fault((), "it is empty", "write `services: {}` if nothing is to run", place=(1, 1)))
        return config
    if not isinstance(data, Mapping):
        config.faults.append(Fault((), "the file must be a mapping of sections", "it begins with services:"))
        return config
    for key, value in data.items():
        if key == "services":
            _services(config, value)
        elif key in SECTIONS:
            _section(config, key, value)
        elif not key.startswith("x-"):
            hint = INSTEAD.get(key) or suggest(key, ("services", *SECTIONS))
            config.faults.append(Fault((key,), f"there is no section {key!r}", hint))
    return config


def _section(config: Config, key: str, value: Any) -> None:
    if value is None:
        return
    wrapped = key in WRAPPED
    section = _checked(config, SECTIONS[key], {key: value} if wrapped else value, () if wrapped else (key,))
    if section is not None:
        setattr(config, key, section)
        config.given = (*config.given, key)


def _services(config: Config, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        config.faults.append(Fault(("services",), "services must be a mapping of names to services"))
        return
    entries = {name: entry for name, entry in value.items() if not name.startswith("x-")}
    config.declared = tuple(entries)
    for name, entry in entries.items():
        path: Path = ("services", name)
        if not NAME.fullmatch(name):
            config.faults.append(
                Fault(
                    path, f"{name!r} cannot name a service", "use a-z, 0-9, - and _, and begin with a letter or a digit"
                )
            )
        if entry is None:
            config.faults.append(Fault(path, f"{dotted(path)} is empty", "write at least command: PROGRAM"))
        elif service := _checked(config, Service, _completed(config, entry, path), path):
            config.services[name] = service


def _completed(config: Config, entry: Any, path: Path) -> Any:
    """The entry with what its kind needs, for the checks to find what else is wrong."""
    if not isinstance(entry, Mapping) or not (key := missing_key(entry)):
        return entry
    config.faults.append(Fault(path, f"{dotted(path)}: {key!r} is missing"))
    return {**entry, key: f"missing-{path[-1]}"}


def _checked(config: Config, model: type[_S], value: Any, path: Path) -> _S | None:
    """The value as a section, or what is left of it without its faults, for the CHECKS to find what else is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        config.faults += from_validation(error, path, model, value)
        if not isinstance(value, Mapping):
            return None
        rest = copy.deepcopy(dict(value))
        for number, detail in enumerate(error.errors(include_url=False)):
            _mend(rest, as_written(detail["loc"], value), f"missing{number}" if detail["type"] == "missing" else None)
    try:
        return model.model_validate(rest)
    except ValidationError:
        return None


def _mend(data: Any, loc: tuple[str | int, ...], instead: str | None) -> None:
    """Takes the faulty value, or the nearest one around it that a mapping can be without, out of the data."""
    holder: Any = None
    key: str | int = ""
    for step in loc:
        if isinstance(data, dict):
            holder, key = data, step
            if step not in data:
                break
        elif not isinstance(data, list) or not isinstance(step, int) or step >= len(data):
            break
        data = data[step]
    if instead is not None:
        holder[key] = instead
    elif holder is not None:
        holder.pop(key, None)
