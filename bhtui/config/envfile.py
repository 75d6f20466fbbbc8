"""Compose's env_file: lines `KEY=VALUE`, comments, quotes, `export` before it."""

from __future__ import annotations

import shlex
from pathlib import Path

from .faults import Fault
from .faults import Path as KeyPath
from .fields import VARIABLE

MAXIMUM_BYTES = 1 << 20


Variables = dict[str, tuple[str, int]]
"""Names to values and the lines they stand in."""


def read(file: Path, path: KeyPath) -> tuple[Variables, list[Fault]]:
    """The variables in the file, and what is wrong with it; `path` is where the configuration names it."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAXIMUM_BYTES + 1)
        if len(raw) > MAXIMUM_BYTES:
            return {}, [Fault(path, f"cannot read the env_file {file}: it is larger than {MAXIMUM_BYTES >> 20} MiB")]
        text = raw.decode()
    except OSError as error:
        return {}, [Fault(path, f"cannot read the env_file {file}: {error.strerror}")]
    except UnicodeDecodeError:
        return {}, [Fault(path, f"cannot read the env_file {file}: it is not UTF-8 text")]
    return parse(text, str(file))


def parse(text: str, file: str) -> tuple[Variables, list[Fault]]:
    """The variables in the text, and the lines that are none. Faults never show a value: it may be a secret."""
    found: Variables = {}
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip().removeprefix("export ").lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.partition("=")
        try:
            if not equals or not VARIABLE.fullmatch(key.rstrip()) or "\0" in value:
                raise ValueError("not KEY=VALUE")
            found[key.rstrip()] = _unquoted(value.strip()), number
        except ValueError:
            faults.append(Fault((), f"line {number} is not KEY=VALUE", place=(number, 1), file=file))
    return found, faults


def _unquoted(value: str) -> str:
    """The value without its quotes, or without the comment behind it. Raises ValueError for a quote left open."""
    if value[:1] in ("'", '"'):
        return " ".join(shlex.split(value, comments=True))
    return value.split(" #", 1)[0].rstrip()
