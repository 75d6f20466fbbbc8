"""Opens the storage that the configuration names. What a kind needs is imported only for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import EngineError
from . import Storage


def open_storage(backup_storage: Mapping[str, Any]) -> Storage:
    """`{type: local, path}`, `{type: sftp, host, path, ...}` or `{type: s3, bucket, ...}`. Raises EngineError."""
    match backup_storage.get("type"):
        case "local":
            from .local import Local

            return Local(Path(backup_storage["path"]))
        case other:
            raise EngineError("refused", f"cannot open a repository: there is no storage of type {other!r}")
