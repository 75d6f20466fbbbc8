"""Opens the storage that the configuration names. What a kind needs is imported only for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import EngineError
from . import Storage
from .wrapping import Cached, Patient


def open_storage(storage: Mapping[str, Any], cache: str = "", bandwidth: int = 0) -> Storage:
    """`{type: local, path}`, `{type: sftp, host, path, ...}` or `{type: s3, bucket, ...}`. Raises EngineError.

    `cache` is a folder for copies of what lies far away; `bandwidth` in bytes a second.
    """
    match storage.get("type"):
        case "local":
            from .local import Local

            local = Local(Path(storage["path"]))
            return Patient(local, bandwidth) if bandwidth else local
        case "sftp":
            from .sftp import Sftp

            far: Storage = Sftp(
                storage["host"],
                storage["path"],
                storage.get("user") or "",
                int(storage.get("port") or 22),
                storage.get("identity_file") or "",
            )
        case "s3":
            from .s3 import S3

            far = S3(
                storage["bucket"],
                storage.get("region") or "us-east-1",
                storage.get("prefix") or "",
                storage.get("endpoint") or "",
                storage.get("credentials_file") or "",
            )
        case other:
            raise EngineError("refused", f"cannot open a repository: there is no storage of type {other!r}")
    patient = Patient(far, bandwidth)
    return Cached(patient, Path(cache)) if cache else patient
