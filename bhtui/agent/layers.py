"""Libraries that are placed on a host when they are first needed, beside the bundle that the agent runs from.

A layer is a folder `layers/NAME-ABI-SHA256` in the state folder that goes on the module path of the child process that
needs it; the agent itself never imports what is in it. An installation of its own has everything, and needs none.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

LAYERS = {"backup": ("cryptography", "zstandard", "pyfastcdc", "obstore")}
"""Name of a layer: what it is for, as modules."""


@cache
def is_installed(name: str) -> bool:
    """Whether the agent's own interpreter has all of it."""
    return all(find_spec(module) is not None for module in LAYERS[name])


def folder(state: Path, name: str) -> str:
    """Where the layer is; empty: it is not needed, or not placed for this interpreter."""
    if is_installed(name):
        return ""
    beginning = f"{name}-cp{sys.version_info[0]}{sys.version_info[1]}-"
    try:
        found = [each for each in (state / "layers").iterdir() if each.name.startswith(beginning)]
    except OSError:
        return ""
    whole = [each for each in found if not each.name.endswith(".part") and each.is_dir()]
    return str(max(whole, key=lambda each: each.stat().st_mtime_ns)) if whole else ""


def lacking(state: Path) -> list[str]:
    """The layers that nothing here has."""
    return [name for name in LAYERS if not is_installed(name) and not folder(state, name)]
