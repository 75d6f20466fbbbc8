"""Folders that programs under test share with other users: pytest's own are their user's alone, and their paths are too
long for sockets."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder(owner: str = "") -> Iterator[Path]:
    """A short one into which everybody may look, gone afterwards. `owner`: whose it is; empty: ours."""
    folder = Path(tempfile.mkdtemp(prefix="bh-open-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        if owner:
            person = pwd.getpwnam(owner)
            os.chown(folder, person.pw_uid, person.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def secret_file(path: Path, text: str = "secret\n") -> Path:
    """A file that only its owner may read, as the agent wants it."""
    path.write_text(text)
    path.chmod(0o600)
    return path
