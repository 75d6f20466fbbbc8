"""A file output: rotated, moved away by others, on a disk that is full."""

from __future__ import annotations

import os
import subprocess

import pytest

from bhtui.agent.rooms.logs.outputs.model import SinkDown
from bhtui.agent.rooms.logs.outputs.sinks import Around
from bhtui.agent.rooms.logs.outputs.sinks.file import FileSink
from tests.live import require

from .lines import record


def sink(path, **rotate):
    options = {
        "path": str(path),
        "format": "text",
        "rotate": {"max_size": 4096, "max_age": 1e9, "max_backups": 3, **rotate},
    }
    return FileSink(options, Around("web-1", "1"))


def test_a_line_of_text(tmp_path):
    sink(tmp_path / "all.log").send([record(1, "served", level="info"), record(2, b"\xff")])
    assert (tmp_path / "all.log").read_text() == (
        "2026-01-02T03:04:05.000000000Z api-1 stdout info served\n2026-01-02T03:04:05.000000000Z api-1 stdout - \\xff\n"
    )


def test_it_is_rotated_and_the_oldest_go(tmp_path):
    made = sink(tmp_path / "all.log")
    for number in range(10):
        made.send([record(number, "x" * 3000)])
    files = sorted(each.name for each in tmp_path.iterdir())
    assert len(files) == 4 and files[0] == "all.log"
    assert all(each.stat().st_size < 4096 for each in tmp_path.iterdir())


def test_age_rotates_too(tmp_path):
    made = sink(tmp_path / "all.log", max_age=10)
    made.send([record(1)])
    made._begun -= 11
    made.send([record(2)])
    assert len(list(tmp_path.iterdir())) == 2


def test_somebody_elses_rotation_is_followed(tmp_path):
    made, path = sink(tmp_path / "all.log"), tmp_path / "all.log"
    made.send([record(1)])
    path.rename(tmp_path / "all.log.1")
    made.send([record(2)])
    assert "n 2" in path.read_text() and "n 1" in (tmp_path / "all.log.1").read_text()


def test_a_torn_last_line_is_ended(tmp_path):
    path = tmp_path / "all.log"
    path.write_text("torn by a power cut")
    sink(path).send([record(1)])
    assert path.read_text().splitlines()[0] == "torn by a power cut"
    assert "n 1" in path.read_text().splitlines()[1]


def test_a_full_disk_tears_no_line(tmp_path):
    require.root()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=True)
    try:
        made, path = sink(tmp_path / "all.log", max_size=1 << 20), tmp_path / "all.log"
        batch = [record(number, "x" * 100) for number in range(200)]
        with pytest.raises(SinkDown, match="no space left"):
            for _ in range(10):
                made.send(batch)
        before = path.read_text()
        assert before.endswith("\n") or before == ""
        with pytest.raises(SinkDown):
            made.send(batch)
        os.truncate(path, 0)
        made.send(batch)
        assert len(path.read_text().splitlines()) == 200
        made.close()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
