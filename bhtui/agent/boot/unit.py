"""The unit of systemd that brings the agent up."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from bhtui.agent import identity
from bhtui.core.paths import Paths

# Type=forking with a file of our own for the pid: when a killed keeper was replaced by its agent, systemd runs the
# launcher again, which finds the new keeper and writes its pid. KillMode=process: the keeper ends the services in
# order, systemd must not race it. Delegate: the subtree of cgroups below the unit is the agent's to divide.
# Restart=on-failure: a stop that somebody asked for ends with 0 and is not undone.
_UNIT = """\
[Unit]
Description=Blackhole agent: runs and watches the services of {config}
After=network.target

[Service]
Type=forking
PIDFile={pid}
ExecStart=/bin/sh {launcher} start
ExecStop=/bin/sh {launcher} stop
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=1
TimeoutStartSec=60
TimeoutStopSec=180

[Install]
WantedBy={target}
"""


def unit_name(paths: Paths) -> str:
    """One for each installation of a user; the one at the usual places has the plain name."""
    if not os.environ.get("BLACKHOLE_HOME"):
        return "blackhole.service"
    return f"blackhole-{hashlib.sha256(os.fsencode(paths.run)).hexdigest()[:8]}.service"


def unit_text(paths: Paths, target: str) -> str:
    """The unit (systemd.service(5), systemd.exec(5), systemd.kill(5))."""
    launcher = _quoted(str(identity.launcher(paths)))
    pid, config = (str(path).replace("%", "%%") for path in (pid_file(paths), paths.config))
    return _UNIT.format(config=config, pid=pid, launcher=launcher, target=target)


def _quoted(word: str) -> str:
    """A word of a command line in a unit; `%` and `$` have a meaning there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or " " in word else word


def pid_file(paths: Paths) -> Path:
    """Not the keeper's lock: systemd removes this one when the unit has ended."""
    return paths.run / "boot.pid"
