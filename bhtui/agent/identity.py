"""Who this agent is and how it is started again: program, bundle, environment, launcher. Standard library only."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bhtui
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.paths import Paths

MANIFEST = "manifest.json"

KEPT = ("BLACKHOLE_HOME", "HOME", "LANG", "PATH", "PYTHONPATH", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""Variables that an agent started at boot has as this one has them. None of them holds a secret."""

_LAUNCHER = """\
#!/bin/sh
# Starts Blackhole's keeper and agent, as at boot. The agent writes this file anew at each of its starts.
cd / || exit 1
{exports}exec {python} -m bhtui.agent.boot "${{1:-start}}"
"""


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
    return Program((interpreter, "-P", "-m", "bhtui.keeper"), (interpreter, "-P", "-m", "bhtui.agent"), env)


def launcher(paths: Paths) -> Path:
    """The file that whatever brings the agent up at boot executes."""
    return paths.state / "start"


def write_launcher(paths: Paths) -> None:
    """Writes it whole, for this interpreter, installation and environment: an upgrade needs no new unit.

    Raises BlackholeError.
    """
    exports = "".join(f"export {name}={shlex.quote(os.environ[name])}\n" for name in KEPT if name in os.environ)
    text = _LAUNCHER.format(exports=exports, python=shlex.quote(sys.executable))
    path = launcher(paths)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text, 0o700)
    except OSError as error:
        raise BlackholeError(f"cannot write {path}: {error.strerror}; make it writable for this user") from None


def write_whole(path: Path, text: str, mode: int) -> None:
    """A reader sees the old text or the new one. Raises OSError."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
