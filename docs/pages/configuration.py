"""The page on blackhole.yaml and hosts.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from bhtui.config import fields as kinds
from bhtui.config import model, restart
from bhtui.config.composition import Composition
from bhtui.config.schema import attribute_docs, meaning
from bhtui.config.services import Service
from bhtui.ssh import inventory

from .markdown import docstring, made_from, table
from .types import typed, validator_of, value_text


class Setting(NamedTuple):
    """One key of a file."""

    key: str
    type: str
    default: str
    help: str


def _default(field: FieldInfo, hint: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value in ("", (), {}, []) or isinstance(value, kinds.Section):
        return "-"
    inner = next((each for each in get_args(hint) if get_origin(each) is Annotated), hint)
    return f"`{', '.join(value) if isinstance(value, list) else value_text(value, id(validator_of(inner)))}`"


def settings(section: type[kinds.Section], found: list[type[kinds.Section]]) -> list[Setting]:
    """The keys of a section."""
    hints, docs = get_type_hints(section, include_extras=True), attribute_docs(section)
    return [
        Setting(
            field.alias or name, typed(hints[name], found), _default(field, hints[name]), meaning(docs.get(name, ""))
        )
        for name, field in section.model_fields.items()
    ]


def sections() -> Iterator[tuple[str, type[kinds.Section], list[Setting]]]:
    """Every section with the path to it, those in it after it."""
    tops: list[tuple[str, type[kinds.Section]]] = [("", Composition), ("services.NAME", Service)]
    tops += [("" if name in model.WRAPPED else name, section) for name, section in model.SECTIONS.items()]
    for path, section in tops:
        yield from _below(path, section)


def _below(path: str, section: type[kinds.Section]) -> Iterator[tuple[str, type[kinds.Section], list[Setting]]]:
    rows = settings(section, [])
    yield path, section, rows
    hints = get_type_hints(section, include_extras=True)
    for name, field in section.model_fields.items():
        found: list[type[kinds.Section]] = []
        words = typed(hints[name], found)
        if section is Service and name == "restart":
            found = [restart.RestartSection]
        step = "[]" if words.startswith("list") else ".NAME" if words.startswith("mapping") else ""
        for inner in found:
            variant = f" (type: {get_args(get_type_hints(inner)['type'])[0]})" if len(found) > 1 else ""
            yield from _below(f"{path}{'.' if path else ''}{field.alias or name}{step}{variant}", inner)


def host_settings() -> list[Setting]:
    """The keys of hosts.yaml."""
    docs, defaults = attribute_docs(inventory.Host), {each.name: each.default for each in fields(inventory.Host)}
    types = {"_text": "text", "_files": "path or a list of paths", "_hops": "host or a list of hosts, in order",
             "_flag": "true or false", "_seconds": "duration", "convert": "whole number",
             "prometheus_at": "URL, or a mapping with `url`"}  # fmt: skip
    found = []
    for key, (name, convert) in inventory._KEYS.items():
        value = defaults[name]
        assert value is not MISSING
        shown = "-" if value in ("", (), 0, None) and value is not False else f"`{str(value).lower()}`"
        shown = f"`{value:g}s`" if isinstance(value, float) else shown
        found.append(Setting(key, types[convert.__name__], shown, docs.get(name, "")))
    return [*found, Setting("groups", "name or a list of names", "-", docs["groups"])]


def page() -> str:
    """The page on blackhole.yaml and hosts.yaml."""
    lines = made_from("Configuration", "bhtui/config/", "bhtui/ssh/inventory.py")
    lines += [
        "`blackhole.yaml` declares what a host runs, `hosts.yaml` beside it which hosts there are. `configs/` has",
        "complete, commented examples. Durations are written `500ms`, `10s`, `1m30s`, `2h`, `7d`; sizes `512K`, `64M`,",
        "`4G`, powers of 1024. Keys of services are Compose's wherever Compose has one; `x-...` keys are ignored.",
        "",
    ]
    for path, section, rows in sections():
        lines += [f"## {path or 'Top level: ' + ', '.join(each.key for each in rows)}", ""]
        if (text := docstring(section)) and text != "The section.":
            lines += [text, ""]
        lines += table(("key", "type", "default", "meaning"), [(f"`{each.key}`", *each[1:]) for each in rows])
    lines += ["## hosts.yaml: defaults, groups.NAME, hosts.NAME", ""]
    lines += ["Nearer wins: host, then its groups in the order named, then defaults. `groups` only in a host.", ""]
    lines += table(("key", "type", "default", "meaning"), [(f"`{each.key}`", *each[1:]) for each in host_settings()])
    return "\n".join(lines)
