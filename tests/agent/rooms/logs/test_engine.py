"""The processes of a search: what they are told and not told, and that none outlives it."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from bhtui.agent.rooms.logs.engine import NICENESS, WORTH, Engine
from bhtui.agent.rooms.logs.files import LogFile
from bhtui.agent.rooms.logs.hints import Hint
from bhtui.agent.rooms.logs.history import Run
from tests.agent.rooms.logs.logmaker import START, line, write
from tests.live.require import program

SECRET = "token-3b1f"


@pytest.fixture
def log(tmp_path):
    program("rg")
    path = tmp_path / "api" / "api-1.log"
    write(path, [line(START + i, f"{i} " + "x" * 400) for i in range(20_000)])
    write(path, [line(START + 30_000, SECRET), line(START + 30_001, "behind")])
    return path


def run_of(path, since_ns=0, until_ns=0):
    return Run("api", "api-1", LogFile(str(path)), since_ns, until_ns)


def engine_for(*patterns, ignore_case=False):
    return Engine(shutil.which("rg"), Hint(patterns, ignore_case, 5))


def finish(engine, places):
    deadline = time.monotonic() + 30
    while not (places.is_known or places.is_dense):
        assert time.monotonic() < deadline
        engine.work(0.1)


def pids(engine):
    return [process.pid for process in engine._working.values()]


def is_there(pid):
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("since_ns", [0, START + 10_000])
def test_it_tells_where_in_the_file(log, since_ns):
    run = run_of(log, since_ns)
    engine = engine_for(SECRET)
    places = engine.look([run])[run]
    finish(engine, places)
    place = places.after(run.start)
    assert log.read_bytes()[place:].startswith(SECRET.encode())
    assert places.after(place + 1) == run.end
    engine.close()


def test_others_do_not_see_what_is_searched_for_and_it_is_nice(log, monkeypatch):
    run = run_of(log)
    engine = engine_for(SECRET)
    places = engine.look([run])[run]
    # A search that goes on until it is ended: it reads from a pipe that has no end.
    read_end, write_end = os.pipe()
    start = engine._start
    monkeypatch.setattr(engine, "_start", lambda _file, patterns: start(read_end, patterns))
    engine.work(0)
    (pid,) = pids(engine)
    assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert os.getpriority(os.PRIO_PROCESS, pid) == NICENESS
    engine.close()
    assert not is_there(pid)
    os.close(write_end)
    os.close(read_end)
    assert places.is_known


def test_one_that_is_killed_has_not_looked(log, monkeypatch):
    run = run_of(log)
    engine = engine_for(SECRET)
    places = engine.look([run])[run]
    read_end, write_end = os.pipe()
    start = engine._start
    monkeypatch.setattr(engine, "_start", lambda _file, patterns: start(read_end, patterns))
    engine.work(0)
    for pid in pids(engine):
        os.kill(pid, signal.SIGKILL)
    finish(engine, places)
    assert places.is_dense, "so the file is read without an engine"
    engine.close()
    os.close(write_end)
    os.close(read_end)


def test_what_is_everywhere_is_not_looked_for_to_the_end(log):
    run = run_of(log)
    engine = engine_for("xxx")
    places = engine.look([run])[run]
    finish(engine, places)
    assert places.is_dense
    assert not pids(engine)
    engine.close()


@pytest.mark.parametrize("broken", ["(", "\\p{nothing}"])
def test_a_pattern_that_it_cannot_read_is_left_to_the_agent(log, broken):
    run = run_of(log)
    engine = engine_for(broken)
    places = engine.look([run])[run]
    finish(engine, places)
    assert places.is_dense
    engine.close()


def test_no_process_for_little_nor_for_the_middle_of_a_file(log, tmp_path):
    little = tmp_path / "api" / "little.log"
    write(little, [line(START, "x" * (WORTH // 2))])
    engine = engine_for(SECRET)
    assert engine.look([run_of(little), run_of(log, 0, START + 9_000)]) == {}
    gone = run_of(log)
    log.unlink()
    assert engine.look([gone]) == {}
    engine.close()
