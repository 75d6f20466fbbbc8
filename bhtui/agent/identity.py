"""Who this agent is and how it is started again: program, bundle, environment."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import bhtui
from bhtui.core.errors import Refused
from bhtui.core.paths import Paths

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Program:
    """What the keeper needs to run keeper and agent of one installation."""

    keeper_argv: tuple[str, ...]
    agent_argv: tuple[str, ...]
    env: dict[str, str]


def bundle_of(paths: Paths) -> str:
    """The SHA-256 that names the bundle this process runs from; empty: it runs from an installation."""
    here = Path(bhtui.__file__).resolve()
    bundles = paths.bundles.resolve()
    return here.relative_to(bundles).parts[0] if here.is_relative_to(bundles) else ""


def program(bundle_dir: str, python: str, paths: Paths) -> Program:
    """Keeper and agent of a placed bundle, or (empty) of the installation this process runs from.

    Raises Refused for a folder that is not a placed bundle: what is executed must come from where bundles are placed.
    """
    env = dict(os.environ)
    if bundle_dir:
        folder = Path(bundle_dir).resolve()
        if folder.parent != paths.bundles.resolve() or not (folder / MANIFEST).is_file():
            raise Refused(f"cannot upgrade to {bundle_dir}: it is not a bundle placed in {paths.bundles}")
        env["PYTHONPATH"] = str(folder)
    interpreter = python or sys.executable
    return Program((interpreter, "-m", "bhtui.keeper"), (interpreter, "-m", "bhtui.agent"), env)
