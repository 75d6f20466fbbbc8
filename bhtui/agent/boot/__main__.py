"""The words of the command line, to what is done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.paths import resolve

from .installing import foretell_install, install, status
from .removing import foretell, uninstall
from .running import start, stop
from .ways import reach_user_manager


def main(words: Sequence[str]) -> int:
    """The exit code; errors are one line on stderr."""
    os.umask(0o077)
    try:
        reach_user_manager()
        paths = resolve(os.environ, os.getuid(), Path.home())
        match list(words):
            case ["start"]:
                start(paths)
            case ["stop"]:
                stop(paths)
            case ["install"]:
                install(paths)
            case ["install", "--dry-run"]:
                foretell_install(paths)
            case ["uninstall", *more] if set(more) <= {"--purge", "--dry-run"}:
                (foretell if "--dry-run" in more else uninstall)(paths, "--purge" in more)
            case ["status"]:
                status(paths)
            case _:
                raise UsageError(
                    "cannot tell what to do: start, stop, install [--dry-run], "
                    "uninstall [--purge] [--dry-run] or status"
                )
    except BlackholeError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"cannot go on: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
