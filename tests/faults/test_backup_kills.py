"""SIGKILL at random instants of backups, restores and prunes: the repository stays sound, what was acknowledged stays.

BHTUI_LONG=1 kills as often as a release is measured with.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bhtui.agent.rooms.backup.restic import lock
from bhtui.agent.rooms.backup.restic.index import Marks
from bhtui.agent.rooms.backup.restic.lock import Lock
from bhtui.agent.rooms.backup.restic.progress import silent
from bhtui.agent.rooms.backup.restic.prune import prune
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.snapshot import Snapshot
from bhtui.agent.rooms.backup.restic.storage.local import Local
from bhtui.agent.rooms.backup.restic.walk import mark_used
from tests.agent.rooms.backup.restic.nasty import repository, seen, take
from tests.agent.rooms.backup.restic.stock import PASSWORD, restic
from tests.agent.rooms.backup.restic.test_restore import put
from tests.long import times

KILLS = times(16, 200)


def grown(source: Path, draw: random.Random) -> None:
    """A tree that takes a backup a while: small files, some of the same content, and a big one."""
    for folder in ("a", "b", "b/c"):
        (source / folder).mkdir(parents=True, exist_ok=True)
        for each in range(40):
            (source / folder / str(each)).write_bytes(draw.randbytes(draw.randrange(20_000)) * draw.randrange(1, 3))
    (source / "big").write_bytes(draw.randbytes(9 << 20))


def changed(source: Path, draw: random.Random) -> None:
    """Some of it is changed."""
    for _ in range(10):
        (source / draw.choice(("a", "b", "b/c")) / str(draw.randrange(60))).write_bytes(draw.randbytes(9000))
    with (source / "big").open("r+b") as file:
        file.seek(draw.randrange(9 << 20))
        file.write(draw.randbytes(100))


def killed(work: Callable[[], bytes], seconds: float) -> bytes:
    """Does it in a child, which is killed after so long unless it has ended; what it said."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            os.write(write, work())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        return os.read(read, 1000)  # ends when the workers have ended too: they hold the other end
    finally:
        os.close(read)


def taken(opened: Repository, source: Path, parent: Snapshot | None) -> bytes:
    """A backup as the engine makes one, under a lock; its id."""
    with Lock(opened, exclusive=False, settle=0):
        opened.load_index()
        return take(opened, source, parent=parent).id.encode()


def test_backups_are_killed(tmp_path: Path) -> None:
    source, repo = tmp_path / "source", tmp_path / "repo"
    draw = random.Random(os.urandom(8))
    grown(source, draw)
    repository(repo)
    opened = Repository.open(Local(repo), PASSWORD)
    began = time.monotonic()
    acknowledged = {killed(lambda: taken(opened, source, None), 60).decode()}
    whole = time.monotonic() - began
    assert acknowledged != {""}
    kept = len(acknowledged)
    for turn in range(KILLS):
        if turn % 3 == 0:
            grown(source, draw)
        changed(source, draw)
        there = sorted(opened.snapshots(), key=lambda one: one.time_ns)
        parent = there[-1] if turn % 2 else None
        began = time.monotonic()
        # Each fourth is left alone: by it the others know how long one takes now.
        seconds = 60 if turn % 4 == 3 else draw.uniform(0, whole)
        said = killed(lambda parent=parent: taken(opened, source, parent), seconds)  # type: ignore[misc]
        if said:
            acknowledged.add(said.decode())
            whole = 0.5 * whole + 0.5 * (time.monotonic() - began)
        found = list(opened.snapshots())
        assert acknowledged <= {one.id for one in found}
        opened.load_index()
        mark_used(opened, [one.tree for one in found], used := Marks(opened.index))
        assert not used.unknown
        if turn % 20 == 19 or turn == KILLS - 1:
            lock.unlock(opened, True, time.time_ns())
            assert "no errors were found" in restic(repo, "check", "--read-data")
    assert 0 < len(acknowledged) - kept < KILLS, "some were killed, some were not"
    last = take(opened, source)
    put(repo, last, tmp_path / "out", strip=source)
    assert seen(tmp_path / "out") == seen(source)
    assert len(list((repo / "tmp").glob("blackhole-run-*"))) == 0


def test_restores_are_killed(tmp_path: Path) -> None:
    source, repo, target = tmp_path / "source", tmp_path / "repo", tmp_path / "out"
    draw = random.Random(os.urandom(8))
    grown(source, draw)
    snapshots = [take(repo, source)]
    contents = [seen(source)]
    for each in (source / "a").iterdir():
        each.write_bytes(draw.randbytes(5000))
    changed(source, draw)
    snapshots.append(take(repo, source))
    contents.append(seen(source))
    opened = repository(repo)
    began = time.monotonic()
    put(opened, snapshots[0], target, strip=source)
    whole = time.monotonic() - began
    for turn in range(KILLS // 4):
        snapshot = snapshots[1 - turn % 2]
        killed(
            lambda one=snapshot: str(put(opened, one, target, strip=source).files).encode(),
            draw.uniform(0, whole * 1.2),
        )  # type: ignore[misc]
        for path, (kind, *_, content, _, _, _) in seen(target).items():
            if b".blackhole-restore-" not in path and kind == 0o100000 and path in contents[0]:
                assert content in (contents[0][path][6], contents[1].get(path, contents[0][path])[6]), path
    put(opened, snapshots[1], target, strip=source, delete=True)
    assert seen(target) == contents[1]


def pruned(opened: Repository) -> bytes:
    """A prune as the engine does one, which writes packs anew."""
    with Lock(opened, exclusive=True, settle=0) as held:
        return str(prune(opened, held, False, 0.0, silent, threading.Event()).bytes_freed).encode()


def test_prunes_are_killed(tmp_path: Path) -> None:
    source, repo = tmp_path / "source", tmp_path / "repo"
    draw = random.Random(os.urandom(8))
    grown(source, draw)
    opened = repository(repo)
    kept = [take(opened, source)]
    whole, ended = 0.5, 0
    for turn in range(max(KILLS // 4, 4)):
        changed(source, draw)
        opened.load_index()
        kept.append(take(opened, source, parent=kept[-1]))
        gone = kept.pop(draw.randrange(len(kept) - 1) if len(kept) > 2 else 0)
        opened.storage.remove("snapshots", gone.id)
        began = time.monotonic()
        said = killed(lambda: pruned(opened), draw.uniform(0, whole * 1.2) if turn else 60)
        if said:
            ended += 1
            whole = time.monotonic() - began
        lock.unlock(opened, True, time.time_ns())
        assert {one.id for one in opened.snapshots()} == {one.id for one in kept}
        assert "no errors were found" in restic(repo, "check", "--read-data")
    assert ended
    pruned(opened)
    assert "no errors were found" in restic(repo, "check", "--read-data")
    assert list((repo / "tmp").iterdir()) == []
    opened.load_index()
    put(opened, kept[-1], tmp_path / "out", strip=source)
    assert seen(tmp_path / "out") == seen(source)
