"""Ending 200 services at once, each with a child of its own, until no process is left. Nothing is asked to end nicely.

Ours is `blackhole stop --emergency`, with an agent that works and with one that is hung (SIGSTOP), which the keeper
does alone. Peers: `supervisorctl shutdown` with a stop signal of SIGKILL to the group, and what systemd does for a unit
with KillSignal=SIGKILL, as a script: SIGKILL to all in its cgroup, by cgroup.kill, else by the freezer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from _common import medians_in_turn, report
from _managers import Blackhole, Manager, Roll, Supervisord, managed

COUNT = 200
RUNS = 5
CHILD = "sleep 100001 & "


class Killer(Manager):
    """A cgroup for each service, and nothing else."""

    name = "a kill by cgroup"

    def up(self) -> None:
        v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self.base = Path("/sys/fs/cgroup" if v2 else "/sys/fs/cgroup/freezer") / f"bench-{os.getpid()}"
        self.base.mkdir()
        self.groups = [self.base / f"s{n}" for n in range(self.count)]
        for group in self.groups:
            group.mkdir()

    def start_all(self) -> None:
        for group in self.groups:
            enter = f'echo $$ > "{group}/cgroup.procs"; exec sh "{self.program}"'
            self.processes.append(subprocess.Popen(["sh", "-c", enter], start_new_session=True))

    def kill(self) -> None:
        """As systemd does it: each unit's group; the kernel's own kill where it has one."""
        for group in self.groups:
            if (group / "cgroup.kill").exists():
                (group / "cgroup.kill").write_text("1")
                continue
            (group / "freezer.state").write_text("FROZEN")
            for pid in (group / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            (group / "freezer.state").write_text("THAWED")

    def down(self) -> None:
        self.kill()
        for process in self.processes:
            process.wait(30)
        for group in (*self.groups, self.base):
            _until(partial(_removed, group))


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _until(condition: Callable[[], bool], timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("some are still there")
        time.sleep(0.001)


class Killed(Supervisord):
    """Told to kill each group at once, which is the quickest that it knows."""

    def __init__(self, folder: Path, script: str, count: int) -> None:
        super().__init__(folder, script, count)
        more = "autorestart=true\nstopsignal=KILL\nstopasgroup=true\nkillasgroup=true\n"
        self.conf.write_text(self.conf.read_text().replace("autorestart=true\n", more))

    def kill(self) -> None:
        self.run(str(self.programs / "supervisorctl"), "-c", str(self.conf), "shutdown")


class Emergency(Blackhole):
    """The agent works."""

    def kill(self) -> None:
        self.cli("stop", "--emergency")


class Hung(Emergency):
    """The agent does not."""

    name = "blackhole, its agent hung"

    def start_all(self) -> None:
        super().start_all()
        self.agent = self.pids()[0]
        os.kill(self.agent, signal.SIGSTOP)

    def down(self) -> None:
        os.kill(self.agent, signal.SIGCONT)
        super().down()


def alive(pids: list[int]) -> bool:
    """Whether one of them still runs; one that only waits to be reaped does not."""
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                return True
        except OSError:
            continue
    return False


def children(pids: list[int]) -> list[int]:
    return [int(pid) for one in pids for pid in Path(f"/proc/{one}/task/{one}/children").read_text().split()]


def seconds(kind: type[Emergency] | type[Killed] | type[Killer]) -> tuple[float]:
    with managed(kind, COUNT) as (manager, roll):
        assert isinstance(manager, Emergency | Killed | Killer)
        assert isinstance(roll, Roll)
        manager.program.write_text(f"#!/bin/sh\n{CHILD}{roll.script()}\n")
        manager.start_all()
        pids = roll.wait(COUNT)
        everyone = [*pids, *children(pids)]
        assert len(everyone) == 2 * COUNT
        with ThreadPoolExecutor(1) as other:
            begun = time.monotonic()
            told = other.submit(manager.kill)
            _until(lambda: not alive(everyone))
            took = time.monotonic() - begun
            told.result()
        return (took,)


def main() -> None:
    print(f"load {os.getloadavg()[0]:.2f}")
    kinds = (Emergency, Hung, Killed, Killer)
    medians = medians_in_turn({kind.name: partial(seconds, kind) for kind in kinds}, RUNS)
    (ours,) = medians.pop(Emergency.name)
    for name, (theirs,) in medians.items():
        report(f"{2 * COUNT} processes of {COUNT} services are gone", "s", ours, name, theirs)


if __name__ == "__main__":
    main()
