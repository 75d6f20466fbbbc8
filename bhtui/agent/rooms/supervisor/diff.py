"""What two configurations differ in. Pure; names fields, never shows values, which may be secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from bhtui.core.spec import ServiceSpec, Spec

WITHOUT_RESTART = frozenset({
    "depends_on", "probe", "restart", "stop", "replicas", "data", "metrics", "contract", "reload_signal", "labels",
})  # fmt: skip
"""Fields of a service that a running process does not notice."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One service that both declare, differently."""

    name: str
    fields: tuple[str, ...]
    """`command`, `environment (LOG_LEVEL)`, `limits (memory)` ..."""
    touches_process: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """From one configuration to another, by names of services."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Changed, ...]
    unchanged: tuple[str, ...]

    def texts(self) -> tuple[str, ...]:
        """One line for each kind of difference, for people."""
        lines = []
        if self.added:
            lines.append("added: " + ", ".join(self.added))
        if self.removed:
            lines.append("removed: " + ", ".join(self.removed))
        for one in self.changed:
            how = "restarted if it runs" if one.touches_process else "without a restart"
            lines.append(f"changed: {one.name}: {', '.join(one.fields)}; {how}")
        if self.unchanged:
            lines.append("unchanged and untouched: " + ", ".join(self.unchanged))
        return tuple(lines)


def difference(old: Spec, new: Spec) -> Difference:
    """What has to change to come from one to the other."""
    both = [name for name in new.services if name in old.services]
    changed = [one for name in both if (one := _changed(old.services[name], new.services[name]))]
    names = {one.name for one in changed}
    return Difference(
        tuple(name for name in new.services if name not in old.services),
        tuple(name for name in old.services if name not in new.services),
        tuple(changed),
        tuple(name for name in both if name not in names),
    )


def _changed(old: ServiceSpec, new: ServiceSpec) -> Changed | None:
    found = {}
    for field in fields(ServiceSpec):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            found[field.name] = _describe(field.name, before, after)
    return Changed(new.name, tuple(found.values()), bool(found.keys() - WITHOUT_RESTART)) if found else None


def _describe(name: str, before: object, after: object) -> str:
    if name == "replicas":
        return f"replicas ({before} to {after})"
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        parts = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    elif hasattr(before, "__dataclass_fields__"):
        parts = [key for key in before.__dataclass_fields__ if getattr(before, key) != getattr(after, key)]
    else:
        return name
    return f"{name} ({', '.join(map(str, parts))})"
