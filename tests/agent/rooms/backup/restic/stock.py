"""Stock restic, which judges what our engine writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.live import require

PASSWORD = "a secret with ä"


def restic(folder: Path, *words: str, password: str = PASSWORD, code: int = 0) -> str:
    """What it printed. `code` is the exit code it must end with."""
    require.program("restic")
    done = subprocess.run(
        ["restic", "-r", str(folder), "--no-cache", *words],
        env=os.environ | {"RESTIC_PASSWORD": password, "TZ": "UTC"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
