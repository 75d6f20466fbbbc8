"""What a changed configuration changes, service by service: the plan of `restart --reload-config` is made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import takewhile
from typing import Any

from .mask import MASK, looks_secret, mask_text, mask_words
from .spec import ServiceSpec, Spec
from .units import format_size

LIVE = frozenset(
    {
        "depends_on",
        "probe",
        "restart",
        "stop",
        "replicas",
        "data",
        "metrics",
        "contract",
        "reload_signal",
        "labels",
        "on_pressure",
        "endpoints",
        "scale",
        "backup",
        "rate_limit",
    }
)
"""Fields of a service that take hold without restarting a running instance."""
ABSENT = "-"
"""How a value that is not there is shown."""
SHOWN = 60
"""Characters that are shown of a value; the rest is cut, as a plan has one line for each change."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value. Where it may be a secret, both sides are masked: that it changed is still told."""

    name: str
    """`command`, `limits.memory`, `environment.LOG_LEVEL`."""
    old: str
    new: str

    @property
    def is_live(self) -> bool:
        """Whether it takes hold without a restart."""
        return self.name.partition(".")[0] in LIVE

    def __str__(self) -> str:
        return f"{self.name} {self.old} -> {self.new}"


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """One service that is in both."""

    service: str
    fields: tuple[FieldChange, ...]

    @property
    def needs_restart(self) -> bool:
        """Whether running instances keep the old values until they are started anew."""
        return any(not change.is_live for change in self.fields)

    @property
    def limits_only(self) -> bool:
        """Whether a restart would be for new limits alone, most of which a running process can be given."""
        return self.needs_restart and all(each.is_live or each.name.startswith("limits.") for each in self.fields)


@dataclass(frozen=True, slots=True)
class SpecDiff:
    """Between two configurations; services in the order in which they are declared."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[ServiceChange, ...]
    sections: tuple[str, ...]
    """Names of the changed parts besides services: `metrics`, `log_level`, `alerts` ..."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.sections)

    @property
    def restarted(self) -> tuple[str, ...]:
        """The services whose running instances must be restarted."""
        return tuple(change.service for change in self.changed if change.needs_restart)


def diff(old: Spec, new: Spec) -> SpecDiff:
    """What has to change to get from one to the other. Where they were read from does not count."""
    both = [name for name in new.services if name in old.services]
    changes = [ServiceChange(name, service_changes(old.services[name], new.services[name])) for name in both]
    return SpecDiff(
        added=tuple(name for name in new.services if name not in old.services),
        removed=tuple(name for name in old.services if name not in new.services),
        changed=tuple(change for change in changes if change.fields),
        sections=_sections(old, new),
    )


def service_changes(old: ServiceSpec, new: ServiceSpec) -> tuple[FieldChange, ...]:
    """The values that differ, by name; those of mappings and groups one by one."""
    if old == new:
        return ()
    before, after = _flat(old), _flat(new)
    names = [*after, *(name for name in before if name not in after)]
    hidden = {*old.hidden, *new.hidden}
    return tuple(
        FieldChange(name, *_cut(_shown(name, before.get(name), hidden), _shown(name, after.get(name), hidden)))
        for name in names
        if before.get(name) != after.get(name)
    )


def fingerprint(service: ServiceSpec) -> str:
    """Of all that a process notices: while two are the same, a running instance need not be started anew.

    What is as it is by default does not count, so that a field that a later version adds changes nothing.
    """
    found = _flat(service, leave=LIVE)
    noticed = {name: value for name, value in found.items() if value != _PLAIN.get(name)}
    return hashlib.sha256(json.dumps(noticed, sort_keys=True).encode()).hexdigest()


def _sections(old: Spec, new: Spec) -> tuple[str, ...]:
    own = [name for name in ("metrics", "log_level", "log_format") if getattr(old, name) != getattr(new, name)]
    names = sorted({*old.sections, *new.sections})
    return (*own, *(name for name in names if old.sections.get(name) != new.sections.get(name)))


def _flat(service: ServiceSpec, leave: frozenset[str] = frozenset()) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(service):
        if item.name in leave or not item.compare:
            continue
        value = getattr(service, item.name)
        if isinstance(value, Mapping):
            found |= {f"{item.name}.{key}": part for key, part in value.items()}
        elif is_dataclass(value):
            found |= {f"{item.name}.{part.name}": getattr(value, part.name) for part in fields(value)}
        else:
            found[item.name] = value
    return found


_PLAIN = _flat(ServiceSpec("", ()))


def _shown(name: str, value: Any, hidden: Set[str]) -> str:
    if value is None or value in ("", ()):
        return ABSENT
    group, _, key = name.partition(".")
    if name in hidden or group in hidden or (group in ("environment", "tuning", "labels") and looks_secret(key)):
        return MASK
    if name == "limits.memory":
        return format_size(value)
    words = mask_words([_plain(part) for part in value]) if isinstance(value, tuple) else [_plain(value)]
    return " ".join(mask_text(" ".join(words)).split())


def _cut(old: str, new: str) -> tuple[str, str]:
    """Both cut to SHOWN characters, from a little before the first that differs when that is far behind."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    begin = same - SHOWN // 4 if same > SHOWN // 2 and max(len(old), len(new)) > SHOWN else 0
    shown = ["…" * (begin > 0) + text[begin:] for text in (old, new)]
    first, second = (text if len(text) <= SHOWN else text[: SHOWN - 1] + "…" for text in shown)
    return first, second


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value.value if isinstance(value, Enum) else value)
