"""Taking the agent off a host: nothing is left behind but what people want to keep."""

from __future__ import annotations

import shutil
from pathlib import Path

from bhtui.agent.foreign.systemd import restarts
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths
from bhtui.rpc import local

from . import cron, ways
from .running import halt
from .tools import run, succeeds
from .ways import Way, systemctl


def uninstall(paths: Paths, purge: bool) -> None:
    """Stops everything in order and removes what install and the agent made; `purge`: logs and configuration too.

    What services keep themselves is never touched. Raises BlackholeError.
    """
    way = ways.installed(paths)
    if way is not None and way.unit is not None and succeeds([*systemctl(way), "is-active", way.unit.name]):
        run([*systemctl(way), "stop", way.unit.name], "stop the unit")
    if halt(paths):
        print("services, agent and keeper were stopped")
    _let_restarts()
    if way is not None:
        _take_back(way, paths)
        print(f"removed: {way}")
    folders = _ours(paths, purge)
    for path in folders:
        if _remove(path):
            print(f"removed: {path}")
    for folder in {path.parent for path in folders}:
        ours = folder.name == "blackhole" or folder == paths.config.parent
        if ours and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _say_kept("kept", paths)


def foretell(paths: Paths, purge: bool) -> None:
    """Says what `uninstall` would do, and does nothing."""
    if local.anything_runs(paths):
        print("would stop: every service in order, but units and containers, which go on; then agent and keeper")
    if way := ways.installed(paths):
        print(f"would remove: {way}")
    there = [path for path in _ours(paths, purge) if path.exists()]
    for path in there:
        held = "; with it what was set at run time, operations, events and metrics" if path == paths.state else ""
        print(f"would remove: {path}{held}")
    if not there and way is None:
        print("nothing is installed here")
    if not purge:
        _say_kept("would keep", paths)


def _ours(paths: Paths, purge: bool) -> list[Path]:
    """What uninstall removes."""
    return [paths.run, paths.state, *([paths.logs, paths.config] if purge else [])]


def _say_kept(word: str, paths: Paths) -> None:
    if kept := [str(path) for path in (paths.logs, paths.config) if path.exists()]:
        print(f"{word}: {' '.join(kept)} (--purge removes them)")


def _let_restarts() -> None:
    """An agent that was killed in a maintenance window, and never came back, has left drop-ins on units."""
    for scope, unit in restarts.left():
        try:
            restarts.remove(scope, unit)
        except OSError:
            continue  # another agent's, of a user who may
        run(["systemctl", f"--{scope}", "daemon-reload"], "make systemd read its units again")
        print(f"systemd restarts {unit} by itself again")


def _take_back(way: Way, paths: Paths) -> None:
    if way.unit is None:
        cron.take_back(paths)
        return
    run([*systemctl(way), "disable", way.unit.name], "disable the unit")
    way.unit.unlink(missing_ok=True)
    run([*systemctl(way), "daemon-reload"], "make systemd forget the unit")


def _remove(path: Path) -> bool:
    """A file or a whole folder; whether it was there."""
    try:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            return False
    except OSError as error:
        raise BlackholeError(f"cannot remove {error.filename}: {error.strerror}; remove it by hand") from None
    return True
