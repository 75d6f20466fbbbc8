"""Libraries and programs that are placed on a host when they are first needed, beside the bundle that it runs from.

A layer is a folder `layers/NAME-ABI-SHA256` in the state folder that goes on the module path of the child process that
needs it; the agent itself never imports what is in it. Programs are in its `bin`. An installation of its own has
everything, and needs none.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MODULES = {"backup": ("cryptography", "zstandard", "pyfastcdc", "obstore")}
"""Name of a layer: what it is for, as modules."""
PROGRAMS = {"search": "rg"}
"""Name of a layer: the program that it is for."""


@cache
def is_installed(name: str) -> bool:
    """Whether the agent's own interpreter has all modules of it."""
    return all(find_spec(module) is not None for module in MODULES[name])


def folder(state: Path, name: str) -> str:
    """Where the layer with modules is; empty: it is not needed, or not placed for this interpreter."""
    return "" if is_installed(name) else _placed(state, name)


def program(state: Path, name: str) -> str:
    """Where the program of a layer is: beside this Python (by a wheel), on the PATH, or placed; empty: nowhere."""
    beside = Path(sys.executable).parent / PROGRAMS[name]
    if os.access(beside, os.X_OK):
        return str(beside)
    if found := shutil.which(PROGRAMS[name]):
        return found
    placed = _placed(state, name)
    return str(Path(placed, "bin", PROGRAMS[name])) if placed else ""


def _placed(state: Path, name: str) -> str:
    beginning = f"{name}-cp{sys.version_info[0]}{sys.version_info[1]}-"
    try:
        found = [each for each in (state / "layers").iterdir() if each.name.startswith(beginning)]
    except OSError:
        return ""
    whole = [each for each in found if not each.name.endswith(".part") and each.is_dir()]
    return str(max(whole, key=lambda each: each.stat().st_mtime_ns)) if whole else ""


def lacking(state: Path) -> list[str]:
    """The layers that nothing here has."""
    modules = [name for name in MODULES if not is_installed(name) and not folder(state, name)]
    return modules + [name for name in PROGRAMS if not program(state, name)]
