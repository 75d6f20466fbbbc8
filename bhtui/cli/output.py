"""Answers as JSON or YAML, for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .present import status_json


def write_list(objects: Iterable[Mapping[str, Any]], output: str) -> None:
    """One JSON or YAML document: a list."""
    if output == "json":
        sys.stdout.write(status_json(list(objects)))
    else:
        sys.stdout.write(_yaml(list(objects)))


def write_object(value: Mapping[str, Any], output: str) -> None:
    """One JSON or YAML document: an object."""
    if output == "json":
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(_yaml(value))


def write_record(value: Mapping[str, Any], output: str) -> None:
    """One of many: a line of JSON, or a YAML document of its own in the stream."""
    if output == "json":
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("---\n" + _yaml(value))


def write_records(values: Iterable[Mapping[str, Any]], output: str) -> None:
    """Several of many, at once."""
    if output == "json":
        sys.stdout.write("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))
    else:
        sys.stdout.write("".join("---\n" + _yaml(value) for value in values))


def _yaml(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text
