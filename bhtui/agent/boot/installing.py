"""Making the agent come up at boot."""

from __future__ import annotations

from pathlib import Path

from bhtui.agent import identity
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths
from bhtui.rpc import local, stopped

from . import cron, ways
from .tools import run, user
from .unit import unit_text
from .ways import Way, systemctl


def install(paths: Paths) -> None:
    """Makes the agent come up at boot, and starts it now unless somebody stopped it. Raises BlackholeError."""
    if not identity.launcher(paths).exists():
        identity.write_launcher(paths)  # first: where there is no way, people are told to use it
    way = ways.find_way(paths)
    if way.unit is None:
        cron.add(paths)
    else:
        _install_unit(way, way.unit, paths)
    identity.write_whole(ways.note(paths), str(way), 0o600)
    print(f"the agent comes up at boot: {way}")
    if stopped.read(paths.state):
        print("it was stopped and stays so until then; start it with `blackhole agent start`")
    elif not local.answers(paths.agent_socket):
        if way.unit is not None and not local.keeper_answers(paths):
            run([*systemctl(way), "start", way.unit.name], "start the unit")
        else:
            local.ensure_agent(paths, stopped.Wake.ALWAYS)
        print("the agent was started")


def foretell_install(paths: Paths) -> None:
    """Says what `install` would do, and does nothing. Raises BlackholeError where there is no way."""
    way = ways.find_way(paths)
    if ways.installed(paths):
        print(f"the agent comes up at boot already: {way}")
    elif way.unit is None:
        print(f"would make the agent come up at boot: {way}")
        print(f"would add: {cron.line(paths)}")
    else:
        print(f"would make the agent come up at boot: {way}")
        print(f"would write {way.unit} and enable it")
    if way.kind == "user":
        print(f"would let units of {user()} run while nobody is logged in (loginctl enable-linger)")
    if stopped.read(paths.state):
        print("the agent was stopped and would stay so until then")
    elif not local.answers(paths.agent_socket):
        print("would start the agent")


def _install_unit(way: Way, unit: Path, paths: Paths) -> None:
    try:
        unit.parent.mkdir(parents=True, exist_ok=True)
        target = "multi-user.target" if way.kind == "system" else "default.target"
        identity.write_whole(unit, unit_text(paths, target), 0o644)
    except OSError as error:
        raise BlackholeError(f"cannot write {unit}: {error.strerror}; run it as a user who may") from None
    run([*systemctl(way), "daemon-reload"], "make systemd read the unit")
    run([*systemctl(way), "enable", unit.name], "enable the unit")
    if way.kind == "user":
        # Without linger a user's units end at logout and do not begin at boot.
        run(["loginctl", "enable-linger", user()], "let your units run while you are logged out")


def status(paths: Paths) -> None:
    """Says how it comes up at boot, as it is and not as it was noted."""
    way = ways.installed(paths)
    print(f"the agent comes up at boot: {way}" if way else "the agent does not come up at boot: it was not installed")
