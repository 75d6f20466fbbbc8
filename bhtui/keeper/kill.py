"""The tree of an instance, and its end.

A tree is what sits in the cgroups of the instance. Where it has none it is found by family: descendants, the session,
and the marker that spawn put into the environment, so that a daemon that forked twice and has its own session is found.

Killing goes in rounds until nothing is left: `cgroup.kill` on cgroup v2; on v1 freeze, kill all, thaw (a frozen task
takes no SIGKILL before it is thawed); and in either case each process by a pidfd whose start time was checked.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from bhtui.keeper import proc
from bhtui.keeper.loop import Loop
from bhtui.keeper.spawn import KEY_VARIABLE, RUN_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    Members = dict[int, int]  # pid: start time in ticks since boot
    Report = dict[str, tuple[int, list[int]]]  # key: how many were killed, which remain

NO_GROUPS_BELOW = 2  # links of a cgroup's folder: each group below it adds one
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.001, 0.05


class Target:
    """One instance as the killer sees it. `ended` is when its first process ended, in ticks since boot, or 0."""

    __slots__ = ("cgroups", "ended", "key", "pid", "start")

    def __init__(self, key: str, pid: int, start: int, cgroups: list[str], ended: int = 0) -> None:
        self.key, self.pid, self.start, self.ended = key, pid, start, ended
        self.cgroups = cgroups


def trees(
    targets: Iterable[Target], run_dir: str, spared: set[int], usable: dict[str, list[str]] | None = None
) -> dict[str, Members]:
    """The living processes of each target; `usable` learns the cgroups whose members may all be killed."""
    found: dict[str, Members] = {}
    by_family = []
    for target in targets:
        groups = usable_cgroups(target.cgroups, spared)
        if usable is not None:
            usable[target.key] = list(groups)
        if groups:
            pids = {pid for members in groups.values() for pid in members}
            found[target.key] = {pid: start for pid in pids if (start := proc.start_of(pid))}
        else:
            by_family.append(target)
            found[target.key] = {}
        if not target.ended and target.pid not in spared and proc.start_of(target.pid) == target.start:
            found[target.key][target.pid] = target.start
    if by_family:
        found.update(_families(by_family, run_dir, spared))
    return found


def strays(run_dir: str, known: set[str], spared: set[int]) -> dict[str, Members]:
    """Processes that an earlier keeper of this run directory started and that no entry of the table stands for."""
    found: dict[str, Members] = {}
    for one in proc.scan().values():
        if one.pid in spared or not proc.has_environment(one.pid, [f"{RUN_VARIABLE}={run_dir}".encode()]):
            continue
        key = _key_of(one.pid)
        if key and key not in known:
            found.setdefault(key, {})[one.pid] = one.start
    return found


def _key_of(pid: int) -> str:
    prefix = KEY_VARIABLE.encode() + b"="
    entries = proc.read(f"/proc/{pid}/environ").split(b"\0")
    return next((os.fsdecode(entry[len(prefix) :]) for entry in entries if entry.startswith(prefix)), "")


def _families(targets: list[Target], run_dir: str, spared: set[int]) -> dict[str, Members]:
    everyone = {pid: one for pid, one in proc.scan().items() if pid not in spared}
    children: dict[int, list[proc.Stat]] = {}
    for one in everyone.values():
        children.setdefault(one.parent, []).append(one)
    return {target.key: _family(target, everyone, children, run_dir) for target in targets}


def _family(
    target: Target, everyone: dict[int, proc.Stat], children: dict[int, list[proc.Stat]], run_dir: str
) -> Members:
    markers = [f"{KEY_VARIABLE}={target.key}".encode(), f"{RUN_VARIABLE}={run_dir}".encode()]
    waiting = [
        one
        for one in everyone.values()
        if one.start >= target.start and (_is_in_session(one, target) or proc.has_environment(one.pid, markers))
    ]
    members: Members = {}
    while waiting:
        one = waiting.pop()
        if one.pid not in members:
            members[one.pid] = one.start
            waiting += children.get(one.pid, ())
    return members


def _is_in_session(one: proc.Stat, target: Target) -> bool:
    """The leader's number may belong to a stranger once it has ended, but not to one that started before that."""
    return one.session == target.pid and (not target.ended or one.start <= target.ended)


def cgroup_pids(folder: str) -> list[int]:
    """Every process in a cgroup and the ones below it. Raises OSError when it is not there."""
    links = os.stat(folder).st_nlink
    pids = [int(pid) for pid in proc.read(folder + "/cgroup.procs").split()]
    if links > NO_GROUPS_BELOW:
        with suppress(OSError), os.scandir(folder) as entries:  # a group may be gone by now
            for one in entries:
                if one.is_dir(follow_symlinks=False):
                    pids += cgroup_pids(one.path)
    return pids


def usable_cgroups(folders: list[str], spared: set[int]) -> dict[str, list[int]]:
    """Those that exist and hold none of the spared: a cgroup shared with the keeper says nothing about an instance."""
    there = {}
    for folder in folders:
        with suppress(OSError):
            there[folder] = cgroup_pids(folder)
    return {folder: pids for folder, pids in there.items() if spared.isdisjoint(pids)}


class Everything:
    """Contains every key."""

    def __contains__(self, _: object) -> bool:
        return True


class Killer:
    """Kills trees with SIGKILL in rounds; calls `done` once with the report, at the latest after `timeout` seconds.

    `find` is given the keys of which something was there the last time; `cgroups` tells those of a key, as just found,
    whose members may all be killed.
    """

    def __init__(
        self,
        loop: Loop,
        find: Callable[[Container[str]], dict[str, Members]],
        cgroups: Callable[[str], Iterable[str]],
        timeout: float,
        done: Callable[[Report], None],
    ) -> None:
        self._loop, self._find, self._cgroups, self._done = loop, find, cgroups, done
        self._deadline = time.monotonic() + timeout
        self._pause = FIRST_PAUSE_S
        self._seen: dict[str, set[tuple[int, int]]] = {}
        self._left: Container[str] = Everything()
        self._round()

    def _round(self) -> None:
        trees = self._find(self._left)
        for key, members in trees.items():
            self._seen.setdefault(key, set()).update(members.items())
        if not any(trees.values()) or time.monotonic() > self._deadline:
            self._loop.later(0, lambda: self._done(self._report(trees)))
            return
        for key, members in trees.items():
            if members:
                strike(members, self._cgroups(key))
        self._left = {key for key, members in trees.items() if members}
        self._loop.later(self._pause, self._round)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    def _report(self, left: dict[str, Members]) -> Report:
        report = {}
        for key, seen in self._seen.items():
            remaining = sorted(left.get(key, {}))
            report[key] = (len({pid for pid, _ in seen} - set(remaining)), remaining)
        return report


def strike(members: Members, folders: Iterable[str]) -> None:
    """One round: SIGKILL to each of them and to all that sit in these cgroups."""
    folders = tuple(folders)
    # Where version 2 has killed the whole group nothing can fork any more, and there is nothing to freeze.
    whole = sum(_put(folder + "/cgroup.kill", "1") for folder in folders)
    frozen = [] if whole else [folder for folder in folders if _put(folder + "/freezer.state", "FROZEN")]
    for folder in frozen:  # those that were forked until the freeze
        with suppress(OSError):
            members = {**members, **{pid: proc.start_of(pid) for pid in cgroup_pids(folder)}}
    for pid, start in members.items():
        proc.send(pid, start, signal.SIGKILL)
    for folder in frozen:
        _put(folder + "/freezer.state", "THAWED")


def _put(path: str, text: str) -> bool:
    """Writes a cgroup file; False where this kernel or this hierarchy has none."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, text.encode()) > 0
    except OSError:
        return False
    finally:
        os.close(fd)
