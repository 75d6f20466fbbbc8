"""pydantic's errors in our words."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .faults import Fault, Path, dotted, suggest

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def from_validation(error: ValidationError, at: Path, model: type[BaseModel], value: Any) -> list[Fault]:
    """pydantic's errors about the value at a path, in our words."""
    found = error.errors(include_url=False)
    return [_fault(detail, (*at, *as_written(detail["loc"], value)), model) for detail in found]


def as_written(loc: tuple[str | int, ...], value: Any) -> tuple[str | int, ...]:
    """Without the step into a list of one that was written as that one alone."""
    kept: list[str | int] = []
    for step in loc:
        if isinstance(value, dict) and isinstance(step, int):
            continue
        kept.append(step)
        is_there = step in value if isinstance(value, dict) else isinstance(step, int) and isinstance(value, list)
        value = value[step] if is_there and (isinstance(value, dict) or int(step) < len(value)) else None
    return tuple(kept)


def _fault(detail: ErrorDetails, where: Path, model: type[BaseModel]) -> Fault:
    path = tuple(step for step in where if step != "[key]")
    name = dotted(path) or "the file"
    if detail["type"] == "extra_forbidden":
        return _unknown_key(detail["loc"], where, model)
    if detail["type"] == "missing":
        return Fault(path[:-1], f"{dotted(path[:-1])}: {path[-1]!r} is missing")
    if detail["type"] == "union_tag_not_found":
        return Fault(path, f"{name}: 'type' is missing")
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        known = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        return Fault(
            (*path, "type"), f"{name}: there is no type {context['tag']!r}", suggest(str(context["tag"]), known)
        )
    return Fault(path, f"{name} {_words(detail)}", _choice_hint(detail))


def _words(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    shown = _shown(detail["input"])
    match detail["type"]:
        case "value_error":
            return f"is wrong: {context['error']}"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return f"must be a whole number, not {shown}"
        case "float_parsing" | "float_type" | "finite_number":
            return f"must be a number, not {shown}"
        case "bool_parsing" | "bool_type":
            return f"must be true or false, not {shown}"
        case "string_type":
            return f"must be text, not {shown}"
        case "dict_type" | "model_type" | "model_attributes_type" | "mapping_type":
            return f"must be a mapping of keys to values, not {shown}"
        case "list_type" | "tuple_type":
            return f"must be a list, not {shown}"
        case "enum" | "literal_error":
            return f"must be {context['expected']}, not {shown}"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            words, bound = next((_BOUNDS[key], context[key]) for key in _BOUNDS if key in context)
            return f"must be {words} {bound:g}, not {shown}"
    return detail["msg"].replace("Input should", "must").replace("String should", "must")


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = str(getattr(value, "text", value))
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _choice_hint(detail: ErrorDetails) -> str:
    if detail["type"] not in ("enum", "literal_error") or not isinstance(detail["input"], str):
        return ""
    known = [word.strip("' ") for word in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(",")]
    hint = suggest(detail["input"], known)
    return hint if hint.startswith("did") else ""


def _unknown_key(loc: tuple[str | int, ...], path: Path, model: type[BaseModel]) -> Fault:
    key, around = str(loc[-1]), model_at(model, loc[:-1])
    where = dotted(path[:-1])
    prefix = f"{where}: " if where else ""
    instead: Mapping[str, str] = getattr(around, "INSTEAD", {})
    if key in instead:
        return Fault(path, f"{prefix}{key!r} is not supported", instead[key])
    return Fault(path, f"{prefix}there is no key {key!r}", suggest(key, keys_of(around)) if around else "")


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys as the user writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model of the value that pydantic's location within the model means."""
    here: Any = model
    for step in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            here = _inner(fields[str(step)].annotation) if str(step) in fields else here
        elif get_origin(here) is Union:
            here = next((kind for kind in get_args(here) if _tag(kind) == step), here)
        elif get_origin(here) in (dict, list):
            here = _inner(get_args(here)[-1])
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _inner(annotation: Any) -> Any:
    """The annotation without Annotated, and without None beside it."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    kinds = tuple(kind for kind in get_args(annotation) if kind is not type(None))
    return _inner(kinds[0]) if len(kinds) == 1 else Union[kinds]  # noqa: UP007 - made at run time


def _tag(kind: Any) -> str | None:
    annotation = kind.model_fields["type"].annotation if hasattr(kind, "model_fields") else None
    return str(get_args(annotation)[0]) if get_origin(annotation) is Literal else None
