"""`keys.yaml`: other keys for actions, `{restart: ctrl+r, follow: "end,G"}`. Refused whole when a key would clash."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from bhtui.core.errors import ConfigError, Problem

from .actions import BY_ID, clashes


def load(path: Path) -> Mapping[str, str]:
    """Keys by action id; no file is no change. Raises ConfigError with everything that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem(str(path), 0, 0, f"cannot read it: {error}"),)) from error
    import yaml  # only when there is something to read

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError((Problem(str(path), 0, 0, f"not YAML: {error}"),)) from error
    return check(value or {}, str(path))


def check(value: object, file: str) -> Mapping[str, str]:
    """The keymap in YAML values. Raises ConfigError."""
    if not isinstance(value, dict):
        raise ConfigError(
            (Problem(file, 0, 0, "not a mapping of actions to keys", "write for example: restart: ctrl+r"),)
        )
    problems = [_unknown(str(name), file) for name in value if name not in BY_ID]
    keymap = {str(name): str(key).replace(" ", "") for name, key in value.items() if name in BY_ID}
    problems += [Problem(file, 0, 0, clash, "give one of them another key") for clash in clashes(keymap)]
    if problems:
        raise ConfigError(tuple(problems))
    return keymap


def _unknown(name: str, file: str) -> Problem:
    near = difflib.get_close_matches(name, BY_ID, 1)
    return Problem(
        file, 0, 0, f"no action {name!r}", f"did you mean {near[0]!r}?" if near else "? lists the actions by key"
    )
