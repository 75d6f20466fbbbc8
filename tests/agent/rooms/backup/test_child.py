"""The engine's process, as the agent sees it: asked, watched, cancelled, killed, missing."""

import asyncio
import json
import os
import sys

import pytest

from bhtui.agent.rooms.backup import child
from bhtui.agent.rooms.backup.child import Engine, Notes, Opening, Progress
from bhtui.agent.rooms.backup.failures import Incapable, Locked, NoRepository
from bhtui.core.backup import StorageSpec
from bhtui.core.errors import BlackholeError
from tests.waiting import until

OPENING = Opening(StorageSpec("local", path="/repo"), "secret", 7)
PLAY = """
import json, os, sys, time
request = json.loads(sys.stdin.readline())
def say(**line): print(json.dumps(line), flush=True)
"""


def engine(tmp_path, script, **more):
    return Engine(tmp_path, program=(sys.executable, "-c", PLAY + script), **more)


async def test_what_is_asked_goes_through_the_pipe_and_what_is_said_comes_back(tmp_path):
    seen, notes = [], Notes()
    script = """
say(progress={"phase": "backup", "bytes": 5, "unknown": 1})
say(note={"path": "/x", "problem": "it changed"})
print("a library that prints")
say(done={"request": request, "argv": sys.argv, "environ": dict(os.environ), "nice": os.nice(0)})
"""
    os.environ["BLACKHOLE_BACKUP_PASSWORD"] = "secret"
    try:
        said = await engine(tmp_path, script).run("backup", OPENING, {"paths": ["/d"]}, seen.append, notes)
    finally:
        del os.environ["BLACKHOLE_BACKUP_PASSWORD"]
    assert said["request"] == {
        "do": "backup", "storage": {"type": "local", "path": "/repo", "port": 22}, "password": "secret",
        "cache": str(tmp_path), "bandwidth": 7, "paths": ["/d"],
    }  # fmt: skip
    assert "secret" not in json.dumps([said["argv"], said["environ"]])
    assert (seen, notes.first, notes.count) == ([Progress("backup", 5)], ["/x: it changed"], 1)
    assert said["nice"] >= 10
    assert "secret" not in repr(OPENING)


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        ('say(failed={"code": "no_repository", "message": "cannot open /repo: none"})', NoRepository, "cannot open"),
        ('say(failed={"code": "locked", "message": "cannot lock /repo: taken"})', Locked, "cannot lock"),
        ("sys.exit('worker 3 fell over')", BlackholeError, "exit 1: worker 3 fell over"),
        ("os.kill(os.getpid(), 9)", BlackholeError, "signal 9.*out of memory"),
        ("raise ModuleNotFoundError(\"No module named 'zstandard'\")", Incapable, "lacks the library zstandard"),
        ("print('x' * (1 << 20))", BlackholeError, "too long"),
    ],
)
async def test_how_it_ends_is_told(tmp_path, script, kind, text, monkeypatch):
    monkeypatch.setattr(child, "LINE_LIMIT", 1 << 16)
    with pytest.raises(kind, match=text):
        await engine(tmp_path, script).run("backup", OPENING)


async def test_one_that_says_nothing_is_ended(tmp_path):
    with pytest.raises(BlackholeError, match="said nothing for 0 s"):
        await engine(tmp_path, "time.sleep(60)", stall=0.3).run("backup", OPENING)


async def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(BlackholeError, match="cannot start the backup engine"):
        await Engine(tmp_path, program=("/no/such/program",)).run("backup", OPENING)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_when_nobody_waits_any_more_it_ends_with_its_workers(tmp_path, stubborn, monkeypatch):
    monkeypatch.setattr(child, "END_SECONDS", 0.5)
    mark = tmp_path / "pids"
    wait = "time.sleep(60)" if stubborn else "sys.stdin.read(); os.unlink(pids)"
    script = f"""
pids = {str(mark)!r}
worker = os.fork() or time.sleep(60) or os._exit(0)
open(pids + ".new", "w").write(f"{{os.getpid()}} {{worker}}"); os.rename(pids + ".new", pids)
say(progress={{"phase": "backup"}})
{wait}
"""
    begun = asyncio.Event()
    task = asyncio.create_task(engine(tmp_path, script).run("backup", OPENING, progress=lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 60)
    own, worker = map(int, mark.read_text().split())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mark.exists() == stubborn  # it was told, and could put its lock away

    def is_gone(pid):
        try:
            return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    until(lambda: is_gone(own) and is_gone(worker), 10, "the child and its worker are gone")
