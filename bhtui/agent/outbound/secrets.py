"""Who an output says it is: secrets from files or variables, read when needed, never kept in the configuration.

A file is read anew after each change, so that a secret can be rotated while the agent runs. Nothing here ever puts a
secret into an error.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import Down


def secret(options: Mapping[str, Any], key: str) -> str:
    """The secret that `<key>_file` or `<key>_env` names; empty when neither is there. Raises Down."""
    if path := options.get(f"{key}_file"):
        try:
            found = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise Down(f"cannot read {key}_file {path}: {why.lower()}") from None
        if not found or "\n" in found:
            raise Down(f"cannot use {key}_file {path}: it must hold one line")
        return found
    if variable := options.get(f"{key}_env"):
        if not os.environ.get(variable):
            raise Down(f"cannot use {key}_env: the agent's environment has no variable {variable}")
        return os.environ[variable]
    return ""


def authorization(options: Mapping[str, Any]) -> str:
    """The value of the HTTP header; empty for none. Raises Down."""
    if key := secret(options, "api_key"):
        return f"ApiKey {key}"
    if token := secret(options, "bearer_token"):
        return f"Bearer {token}"
    if user := options.get("username"):
        pair = f"{user}:{secret(options, 'password')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return ""
