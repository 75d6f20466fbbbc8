"""A JSON Schema (2020-12) of `blackhole.yaml` for editors, made from the models.

It finds wrong keys, kinds and words while somebody types. It is stricter than the program in that numbers are to be
written as numbers, and more lenient where a value is only understood by parsing it; `blackhole config validate` judges.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from bhtui.core.spec import ServiceKind

from . import endpoints, fields, healthcheck, maintenance, metrics, performance, restart, scale, services
from .composition import Composition
from .model import SECTIONS, WRAPPED

Schema = dict[str, Any]
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
WORD: Schema = {"type": ["string", "integer"]}
VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
EXTENSIONS: Schema = {"^x-": True}
_DURATION = r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?\s*(ns|us|µs|ms|min|s|m|h|d|w)\s*)+)\s*$"
_SIZE = r"^\s*\d+(\.\d+)?\s*[BKMGTbkmgt]?([iI]?[bB])?\s*$"


def _texts(least: int) -> Schema:
    return {"type": "array", "items": SCALAR, "minItems": least}


def _mapping(names: str = "") -> Schema:
    made: Schema = {"type": "object", "additionalProperties": SCALAR}
    return made | ({"propertyNames": {"pattern": names}} if names else {})


def _pairs(names: str = "") -> Schema:
    return {"anyOf": [_mapping(names), {"type": "array", "items": {"type": "string", "pattern": "="}}]}


def _func(hint: Any) -> Any:
    return next(each.func for each in get_args(hint)[1:] if isinstance(each, BeforeValidator))


_LIMIT: Schema = {"anyOf": [{"type": "integer", "minimum": -1}, {"type": "string", "pattern": r"^(\d+|-1|unlimited)$"}]}
_SOFT_HARD: Schema = {
    "type": "object",
    "properties": {"soft": _LIMIT, "hard": _LIMIT},
    "required": ["soft", "hard"],
    "additionalProperties": False,
}
FORMS: dict[Any, Callable[[Schema], Schema]] = {
    _func(fields.Text): lambda _: SCALAR,
    _func(fields.Name): lambda _: {**WORD, "pattern": f"^{fields.NAME.pattern}$"},
    _func(fields.Duration): lambda _: {"type": ["string", "number"], "pattern": _DURATION, "minimum": 0},
    _func(fields.Size): lambda _: {"type": ["string", "integer"], "pattern": _SIZE, "minimum": 0},
    _func(fields.Command): lambda _: {"anyOf": [{"type": "string", "minLength": 1}, _texts(1)]},
    _func(fields.Environment): lambda _: _pairs(f"^{fields.VARIABLE.pattern}$"),
    _func(fields.Labels): lambda _: _pairs(),
    _func(fields.Texts): lambda _: {"anyOf": [SCALAR, _texts(0)]},
    _func(fields.Address): lambda _: WORD,
    _func(fields.SocketAddress): lambda _: WORD,
    _func(fields.Url): lambda _: {"type": "string", "pattern": "^https?://"},
    _func(fields.OwnUrl): lambda _: {"type": "string", "pattern": "^https?://"},
    endpoints.bare_host: lambda _: WORD,
    _func(fields.ProbeUrl): lambda _: {"type": "string", "pattern": r"^https?(\+unix)?://"},
    _func(fields.Regex): lambda _: {"type": "string"},
    _func(fields.Cron): lambda _: {"type": "string", "pattern": r"^\s*\S+(\s+\S+){4,5}\s*$"},
    _func(fields.SignalName): lambda _: {**WORD, "pattern": r"^[A-Za-z0-9+-]+$"},
    _func(fields.Umask): lambda _: {**WORD, "pattern": "^(0o)?[0-7]{1,4}$"},
    _func(fields.Period): lambda _: {"type": "string", "pattern": r"^\s*\d+\s*(min|h|d|w|m|y)\s*$"},
    healthcheck.test_command: lambda _: {"anyOf": [{"type": "string", "minLength": 1}, _texts(1)]},
    metrics.fine_only: lambda inner: {"anyOf": [{"type": ["string", "number"], "pattern": _DURATION}, inner]},
    metrics.one_or_several: lambda inner: {"anyOf": [inner["items"], inner]},
    maintenance.window_start: lambda _: {"type": "string"},
    maintenance.time_zone: lambda _: {"type": "string"},
    metrics.loopback: lambda _: WORD,
    performance.tuning: lambda _: _mapping("^[a-z][a-z0-9_]*$"),
    restart.from_word: lambda inner: {
        "anyOf": [{"type": "string", "pattern": r"^(no|on-failure(:\d+)?|always|unless-stopped)$"}, inner]
    },
    scale.section: lambda inner: inner,
    services.dependencies: lambda inner: {"anyOf": [_texts(0), inner]},
    services.unit_name: lambda _: {"type": "string", "pattern": r"^[A-Za-z0-9:_.\\@-]+$"},
    services.container_name: lambda _: {**WORD, "pattern": r"^/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$"},
    services.engine_name: lambda _: {"type": "string", "pattern": r"^(docker|podman|(unix://)?/.*)$"},
    services.io_class: lambda _: {"type": "string", "pattern": "^(idle|best-effort:[0-7]|realtime:[0-7])$"},
    services.port: lambda inner: {"anyOf": [inner, {"type": "string", "pattern": r"^\d+$"}]},
    services.rlimits: lambda _: {
        "type": "object",
        "propertyNames": {"enum": sorted(services.RLIMITS)},
        "additionalProperties": {"anyOf": [_LIMIT, _SOFT_HARD]},
    },
    services.secret_files: lambda _: _mapping(f"^{fields.VARIABLE.pattern}$"),
}
"""By the function that reads it: what a person may write."""


class _Generator(GenerateJsonSchema):
    def function_before_schema(self, schema: Any) -> Schema:
        inner: Schema = self.generate_inner(schema["schema"])
        form = FORMS.get(schema["function"]["function"])
        return form(inner) if form else inner


def schema() -> Schema:
    """The whole schema."""
    mode: JsonSchemaMode = "validation"
    roots: list[type[BaseModel]] = [services.Service, Composition, *SECTIONS.values()]
    _, made = models_json_schema([(model, mode) for model in roots], schema_generator=_Generator)
    defs: dict[str, Schema] = made["$defs"]
    for model in sorted({each for root in roots for each in _models(root)}, key=lambda each: each.__name__):
        _describe(defs[model.__name__], model)
    defs = {name: _lenient(each) for name, each in defs.items() if name not in ("AlertList", "PerformanceMap")}
    defs["ServiceOverlay"] = {key: value for key, value in defs["Service"].items() if key != "required"}
    defs["Service"] |= {"allOf": [_needs(kind, key) for kind, key in services.NEEDED.items()]}
    composition = defs.pop("Composition")["properties"]
    sections = {name: _section(name, made["$defs"]) for name in SECTIONS}
    defs["Overlay"] = _closed({"services": _services("ServiceOverlay"), **sections})
    hosts = {"anyOf": [SCALAR, _texts(1)], "description": "Names of hosts, or patterns like `web-*`."}
    defs["Group"] = _closed({"hosts": hosts, **defs["Overlay"]["properties"]}) | {"required": ["hosts"]}
    overlays = {name: _named(f"#/$defs/{kind}", composition[name]) for name, kind in (
        ("profiles", "Overlay"), ("groups", "Group"), ("hosts", "Overlay"))}  # fmt: skip
    include = {
        **_nullable({"anyOf": [{"type": "string"}, _texts(0)]}),
        "description": composition["include"]["description"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "blackhole.yaml",
        **_closed({"include": include, **overlays, "services": _services("Service"), **sections}),
        "$defs": dict(sorted(defs.items())),
    }


def _needs(kind: ServiceKind, key: str) -> Schema:
    """A service of this kind has the key; what says no kind is a process."""
    said: Schema = {"properties": {"kind": {"const": str(kind)}}}
    if kind is not ServiceKind.PROCESS:
        said |= {"required": ["kind"]}
    return {"if": said, "then": {"required": [key]}}


def _closed(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": EXTENSIONS,
        "additionalProperties": False,
    }


def _nullable(inner: Schema) -> Schema:
    return _any(inner, {"type": "null"})


def _any(*parts: Schema) -> Schema:
    """One of these, each once, without alternatives within alternatives."""
    found: list[Schema] = []
    for part in parts:
        found += [each for each in (part["anyOf"] if set(part) == {"anyOf"} else [part]) if each not in found]
    return {"anyOf": found} if len(found) > 1 else found[0]


def _services(kind: str) -> Schema:
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^({fields.NAME.pattern}|x-.*)$"},
        "patternProperties": EXTENSIONS,
        "additionalProperties": _nullable({"$ref": f"#/$defs/{kind}"})
        if kind != "Service"
        else {"$ref": f"#/$defs/{kind}"},
    }


def _named(ref: str, documented: Schema) -> Schema:
    inner = {"type": "object", "patternProperties": EXTENSIONS, "additionalProperties": _nullable({"$ref": ref})}
    return {**_nullable(inner), "description": documented["description"]}


def _section(name: str, defs: dict[str, Schema]) -> Schema:
    if name in WRAPPED:
        wrapped: Schema = _lenient(defs[SECTIONS[name].__name__])["properties"][name]
        return wrapped
    return _nullable({"$ref": f"#/$defs/{SECTIONS[name].__name__}"})


def _lenient(part: Any) -> Any:
    """With variables where numbers and chosen words are, no value where a key may be left out, and x-... keys."""
    if isinstance(part, list):
        return [_lenient(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {
        key: value if key in ("enum", "default") else _lenient(value)
        for key, value in part.items()
        if key not in ("title", "ge")
    }
    if "properties" in part:
        required = part.get("required", [])
        made["properties"] = {
            name: _optional(_lenient(value), name in required) for name, value in part["properties"].items()
        }
        made["patternProperties"] = EXTENSIONS
        return made
    is_chosen = made.get("type") == "string" and ({"enum", "pattern"} & set(made))
    listed = isinstance(made.get("type"), list) and "pattern" in made
    if made.get("type") in ("integer", "number", "boolean") or is_chosen or listed:
        kept: Schema = {key: made.pop(key) for key in ("description", "default") if key in made}
        return {**_any(made, VARIABLE), **kept}
    if "anyOf" in made:
        return {**made, **_any(*made["anyOf"])}
    return made


def _optional(part: Schema, required: bool) -> Schema:
    if required:
        return part
    kept: Schema = {key: part[key] for key in ("description", "default") if key in part}
    inner = {key: value for key, value in part.items() if key not in kept}
    return {**_nullable(inner), **kept}


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in _inner(field.annotation):
            yield from _models(inner)


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _inner(each)


def _describe(definition: Schema, model: type[BaseModel]) -> None:
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        if text := docs.get(name):
            definition["properties"][field.alias or name]["description"] = meaning(text)
    text = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
    definition.pop("description", None)
    if text and text != "The section.":
        definition["description"] = text


def attribute_docs(cls: type) -> dict[str, str]:
    """The string below each field of a class, and of the sections that it is made from."""
    found: dict[str, str] = {}
    for base in cls.__bases__:
        if base.__module__.startswith("bhtui.config."):
            found |= attribute_docs(base)
    (body,) = (node for node in ast.parse(inspect.getsource(cls)).body if isinstance(node, ast.ClassDef))
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(after.value.value).split())
    return found


def meaning(text: str) -> str:
    """As a reader of YAML knows it: there is no None in a file."""
    return re.sub(r"\b(None|Empty):", "Left out:", text)
