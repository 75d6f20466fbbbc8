"""One service alone, in the foreground of a terminal: `python -m bhtui.agent.foreground CONFIG SERVICE [--debug]`.

This process becomes the service (exec), with the environment, folder, user and limits as declared; so the terminal, its
signals and the exit code are the service's own. A supervisor's work (probes, restarts, cgroups) is not done; what holds
no limit for want of it is said in one line.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from bhtui.agent.keeper import SpawnRequest
from bhtui.agent.rooms.limits.detect import Hierarchies
from bhtui.agent.rooms.limits.room import Limits
from bhtui.agent.rooms.supervisor import spawning
from bhtui.agent.rooms.supervisor.instance import Instance
from bhtui.config.load import load
from bhtui.core.errors import BlackholeError, NotFound
from bhtui.core.replica import instance_spec

DEBUG = {"BLACKHOLE_DEBUG": "1", "LOG_LEVEL": "debug"}


def request(config: Path, name: str, debug: bool) -> tuple[SpawnRequest, Mapping[str, str]]:
    """What the keeper would be asked for, and the limits that do not hold, each with the reason.

    Raises BlackholeError for what cannot be started.
    """
    spec = load(config)
    declared = spec.services.get(name)
    if declared is None:
        raise NotFound(
            f"cannot run {name}: {config} declares no such service; it declares {', '.join(spec.services) or 'none'}"
        )
    service = instance_spec(declared, 1)
    spawning.check_ports(service)
    instance = Instance(f"{name}-1", service, run_environment=DEBUG if debug else {})
    # As the supervisor does it on a host without cgroups: nobody would remove a group after this process.
    without = Hierarchies(reason="no cgroup is made in the foreground")
    prepared = Limits(Path(os.devnull), without).prepare(instance.name, service.limits)
    return spawning.build(instance, prepared, Path(os.devnull), os.environ), prepared.not_held


def become(wanted: SpawnRequest) -> None:
    """Turns this process into the service. Raises OSError when that cannot be done."""
    for key, (soft, hard) in wanted.rlimits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{key.upper()}"), (soft, hard))
    if wanted.nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, wanted.nice)
    if wanted.umask is not None:
        os.umask(wanted.umask)
    if wanted.groups is not None:
        os.setgroups(wanted.groups)
    if wanted.gid is not None:
        os.setresgid(wanted.gid, wanted.gid, wanted.gid)
    if wanted.uid is not None:
        os.setresuid(wanted.uid, wanted.uid, wanted.uid)
    os.chdir(wanted.cwd or "/")
    os.execve(wanted.argv[0], wanted.argv, dict(wanted.env))  # noqa: S606 - the declared command, without a shell


def main(argv: list[str]) -> int:
    """Returns only when the service could not be started."""
    config, name, *more = argv
    try:
        wanted, not_held = request(Path(config), name, "--debug" in more)
        if not_held:
            reasons = "; ".join(f"{limit} ({why})" for limit, why in not_held.items())
            sys.stderr.write(f"{name}: not held in the foreground: {reasons}\n")
            sys.stderr.flush()
        become(wanted)
    except BlackholeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot run {name}: {error}; correct its declaration in {config}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
