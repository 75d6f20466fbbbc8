"""Messages whose fields are named as those of a core dataclass: the common case, made once.

A value of None is an absent `optional` field; text enums travel as their text; a test holds the names equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
C = TypeVar("C")


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _optional(kind: type[Message]) -> frozenset[str]:
    return frozenset(field.name for field in kind.DESCRIPTOR.fields if field.has_presence and not field.message_type)


def encode(value: Any, kind: type[M], **made: Any) -> M:
    """A message of this kind from a dataclass; `made` are the fields that need more than a copy."""
    plain = {name: getattr(value, name) for name in _names(type(value)) if name not in made}
    return kind(**{name: each for name, each in plain.items() if each is not None}, **made)


def decode(message: Message, kind: type[C], convert: Mapping[str, Callable[[Any], Any]] | None = None) -> C:
    """A dataclass of this kind from a message; `convert` maps fields to what turns them into core values."""
    optional = _optional(type(message))
    values: dict[str, Any] = {}
    for name in _names(kind):
        if name in optional and not message.HasField(name):
            values[name] = None
        else:
            each = getattr(message, name)
            values[name] = convert[name](each) if convert and name in convert else each
    return kind(**values)
