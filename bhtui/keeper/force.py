"""The last resort: ending everything of a run directory when its keeper does not answer.

What belongs to it is found by what spawn put into the environment and by the cgroups of the installation. A keeper that
was merely stopped (SIGSTOP) is woken first: it knows more, and stays.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time

from bhtui.keeper import kill, places, proc
from bhtui.keeper.client import KeeperClient, KeeperError, NoKeeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATIENCE_S = 2.0
KILL_S = 5.0
PAUSE_S = 0.02


def keepers(run_dir: str | os.PathLike[str]) -> list[int]:
    """Processes that have the keeper's lock of this run directory, whether they answer or not."""
    return places.holders(places.lock_path(os.path.realpath(run_dir)))


def agents(run_dir: str | os.PathLike[str]) -> list[int]:
    """The same for the agent's lock."""
    return places.holders(os.path.join(os.path.realpath(run_dir), "agent.lock"))


def responds(run_dir: str | os.PathLike[str]) -> bool:
    """Whether a keeper answers a question within PATIENCE_S."""
    try:
        with KeeperClient(run_dir, timeout=PATIENCE_S) as keeper:
            keeper.request("stats")
    except NoKeeper:
        return False
    except KeeperError:
        return True
    return True


def is_stuck(run_dir: str | os.PathLike[str]) -> bool:
    """Whether a keeper is there that does not answer, not even after it was woken."""
    wake_stopped(run_dir)
    if responds(run_dir) or not (stuck := keepers(run_dir)):
        return False
    for pid in stuck:
        _signal(pid, signal.SIGCONT)
    return not responds(run_dir)


def wake_stopped(run_dir: str | os.PathLike[str]) -> None:
    """Wakes a keeper that was stopped (SIGSTOP), without waiting first for an answer that cannot come."""
    text = proc.read(places.lock_path(os.path.realpath(run_dir))).strip()
    found = proc.stat(int(text)) if text.isdigit() else None
    if found is not None and found.state == b"T" and found.pid in keepers(run_dir):
        proc.send(found.pid, found.start, signal.SIGCONT)


def end_everything(run_dir: str | os.PathLike[str], *, hold: bool = True) -> dict[str, Any]:
    """Ends the keeper and kills all its services: `{"killed": n, "remaining": [pid]}`, after KILL_S at most.

    The agent is left alone: it starts another keeper, which with `hold` refuses to spawn. Raises OSError.
    """
    if hold:
        os.close(os.open(os.path.join(run_dir, "hold"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    near = [*keepers(run_dir), *agents(run_dir), os.getpid()]
    near += [pid for members in kill.strays(os.path.realpath(run_dir), set(), set()).values() for pid in members]
    paths = _groups_of(near)
    for pid in keepers(run_dir):
        _signal(pid, signal.SIGKILL)
    spared = {1, os.getpid(), *agents(run_dir)}
    groups = _cgroups(run_dir, paths)
    deadline = time.monotonic() + KILL_S
    seen: set[int] = set()
    while (left := _members(os.path.realpath(run_dir), groups, spared)) and time.monotonic() < deadline:
        seen |= left.keys()
        kill.strike(left, kill.usable_cgroups(groups, spared))
        time.sleep(PAUSE_S)
    return {"killed": len(seen - left.keys()), "remaining": sorted(left)}


def _members(run_dir: str, groups: list[str], spared: set[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for members in kill.strays(run_dir, set(), spared).values():
        found.update(members)
    for pids in kill.usable_cgroups(groups, spared).values():
        found.update({pid: start for pid in pids if (start := proc.start_of(pid))})
    return found


def _groups_of(pids: list[int]) -> set[str]:
    """The paths of the groups that these processes are in, `/system.slice/blackhole.service`, and of those above."""
    found = {""}
    for pid in pids:
        for line in proc.read(f"/proc/{pid}/cgroup").decode(errors="replace").splitlines():
            path = line.split(":", 2)[-1].rstrip("/")
            while path:
                found.add(path)
                path = path.rpartition("/")[0]
    return found


def _cgroups(run_dir: str | os.PathLike[str], paths: set[str]) -> list[str]:
    """The groups of this installation in every hierarchy; `agent.rooms.limits` names them so.

    They are made at the top of a hierarchy, or below a group in which keeper and agent are: nowhere else is looked,
    for a host may have thousands of groups.
    """
    name = f"blackhole-{hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:8]}"
    places = [f"{mount}{path}/{name}" for mount in _mounts() for path in sorted(paths)]
    return list(dict.fromkeys(place for place in places if os.path.isdir(place)))


def _mounts() -> list[str]:
    """Where the hierarchies are; a name with a space or a backslash is no place where anybody mounts them."""
    fields = [line.split() for line in proc.read("/proc/self/mounts").decode(errors="replace").splitlines()]
    return [each[1] for each in fields if len(each) > 2 and each[2] in ("cgroup", "cgroup2")]


def end_agents(run_dir: str | os.PathLike[str]) -> None:
    """Kills agents that do not answer."""
    for pid in agents(run_dir):
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    proc.send(pid, proc.start_of(pid), number)
