"""Frozen dataclasses as plain JSON values and back, by their type hints.

Known are dataclasses, enums, mappings with text as keys, tuples (`tuple[X, ...]` and fixed ones), unions with None, the
scalars, and Any for what is JSON already. What is as it is by default is left out, so a small thing stays small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class CodecError(ValueError):
    """The value does not have the shape that the type says."""


def encode(value: Any) -> Any:
    """The value as dict, list, str, int, float, bool and None. Raises CodecError for anything else."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: encode(part) for item in fields(value) if (part := getattr(value, item.name)) != _default(item)
        }
    if isinstance(value, Mapping):
        return {key: encode(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(part) for part in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise CodecError(f"a {type(value).__name__} cannot be kept")


def decode(hint: Any, data: Any) -> Any:
    """What `encode` was given, for data of the type. Raises CodecError."""
    try:
        return _decoded(hint, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CodecError(f"this is no {getattr(hint, '__name__', hint)}: {error}") from None


def _decoded(hint: Any, data: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        rest = [each for each in inner if each is not NoneType]
        return None if data is None and len(rest) < len(inner) else _decoded(rest[0], data)
    if origin is tuple:
        _must_be(data, list)
        if inner[-1] is Ellipsis:
            return tuple(_decoded(inner[0], part) for part in data)
        return tuple(_decoded(each, part) for each, part in zip(inner, data, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _must_be(data, dict)
        return {key: _decoded(inner[1], part) for key, part in data.items()}
    if is_dataclass(hint):
        _must_be(data, dict)
        hints = _hints(hint)  # type: ignore[arg-type]
        return hint(**{name: _decoded(hints[name], part) for name, part in data.items()})  # type: ignore[operator]
    if hint is Any:
        return data
    if issubclass(hint, Enum):
        return hint(data)
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    _must_be(data, hint)
    return data


def _must_be(data: Any, kind: type) -> None:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise CodecError(f"{type(data).__name__} instead of {kind.__name__}")


def shape(cls: type) -> str:
    """Another text for each way in which the type and what it is made of can look: names, types and defaults."""
    said = "\n".join(_described(cls, set()))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _described(hint: Any, seen: set[type]) -> Iterable[str]:
    for inner in get_args(hint):
        yield from _described(inner, seen)
    if not isinstance(hint, type) or hint in seen:
        return
    seen.add(hint)
    if issubclass(hint, Enum):
        yield f"{hint.__name__}: {[each.value for each in hint]}"
    elif is_dataclass(hint):
        for item in fields(hint):
            default = _default(item)
            yield f"{hint.__name__}.{item.name}: {item.type} = {'' if default is MISSING else repr(default)}"
        for each in _hints(hint).values():
            yield from _described(each, seen)


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


@lru_cache(maxsize=64)
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)
