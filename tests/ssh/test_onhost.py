"""What runs on a host: checked before it is used, whole or not at all, and tidy."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from bhtui.ssh import bundle, onhost


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "bundles/x.part"
    path.parent.mkdir()
    path.write_bytes(bundle.pack({"bhtui/__init__.py": b"", "manifest.json": b"{}"}))
    return path


def test_a_whole_archive_is_unpacked_and_removed(part: Path):
    folder = part.parent / "x"
    onhost.unpack(str(part), hashlib.sha256(part.read_bytes()).hexdigest(), str(folder))
    assert (folder / "bhtui/__init__.py").exists()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(p.name for p in part.parent.iterdir()) == ["x"]


def test_a_damaged_archive_is_not_touched(part: Path):
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(onhost.Fault, match="damaged") as caught:
        onhost.unpack(str(part), digest, str(part.parent / "x"))
    assert caught.value.kind == "damaged"
    assert list(part.parent.iterdir()) == []


def test_what_was_placed_meanwhile_stays(part: Path):
    folder = part.parent / "x"
    folder.mkdir()
    (folder / "mark").touch()
    onhost.unpack(str(part), hashlib.sha256(part.read_bytes()).hexdigest(), str(folder))
    assert (folder / "mark").exists()


def test_tidying_spares_the_newest_the_named_the_running_and_the_boots(tmp_path: Path):
    root = tmp_path / "bundles"
    for number in range(6):
        (root / f"b{number}").mkdir(parents=True)
        os.utime(root / f"b{number}", (number, number))
    (root / "b9.part").mkdir()
    (tmp_path / "start").write_text(f"export PYTHONPATH='{root}/b2'\n")
    running = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(root / "b1")},
    )  # fmt: skip
    try:
        assert running.stdout
        running.stdout.readline()
        removed = onhost.tidy(str(root), ["b0"])
    finally:
        running.kill()
        running.communicate()
    assert removed == ["b3"]
    assert sorted(p.name for p in root.iterdir()) == ["b0", "b1", "b2", "b4", "b5", "b9.part"]


def test_of_layers_those_of_one_name_go_that_nothing_uses(tmp_path: Path):
    root = tmp_path / "layers"
    for name in ("backup-cp311-new", "backup-cp311-old", "backup-cp311-used", "backup-cp312-x", "search-cp311-x"):
        (root / name).mkdir(parents=True)
    (root / "backup-cp311-y.part").mkdir()
    program = ["-c", "import time; print(flush=True); time.sleep(60)"]
    environ = {"PYTHONPATH": f"/elsewhere:{root}/backup-cp311-used"}
    running = subprocess.Popen([sys.executable, *program], stdout=subprocess.PIPE, env=environ)
    try:
        assert running.stdout
        running.stdout.readline()
        removed = onhost.tidy(str(root), ["backup-cp311-new"], newest=0, prefix="backup-cp311-")
    finally:
        running.kill()
        running.communicate()
    assert removed == ["backup-cp311-old"]
    assert len(list(root.iterdir())) == 5


def run(request: dict[str, object]) -> dict[str, object]:
    """As a host does it: the text on standard input of a bare interpreter."""
    done = subprocess.run(
        [sys.executable, "-I", "-", json.dumps(request)], input=Path(onhost.__file__).read_bytes(), capture_output=True,
        check=True, timeout=30,
    )  # fmt: skip
    [line] = done.stdout.decode().splitlines()
    answer: dict[str, object] = json.loads(line.removeprefix(onhost.MARK))
    return answer


def test_it_runs_as_text(part: Path):
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    folder = str(part.parent / "x")
    tidy = {"placed": str(part.parent), "keep": ["x"]}
    assert run({"unpack": [{"part": str(part), "sha256": digest, "folder": folder}], "tidy": tidy}) == {
        "ok": {"tidied": []}
    }


def test_errors_of_the_system_have_a_kind(tmp_path: Path):
    answer = run({"unpack": [{"part": str(tmp_path / "none"), "sha256": "", "folder": ""}]})
    assert answer["kind"] == "failed"
    assert "No such file" in str(answer["error"])
    assert onhost.fault_kind(OSError(28, "")) == "no-space"
    assert onhost.fault_kind(OSError(13, "")) == "no-permission"


def test_a_keeper_that_does_not_start_says_its_last_words(tmp_path: Path):
    (tmp_path / "bhtui").mkdir()
    (tmp_path / "bhtui/__init__.py").touch()
    (tmp_path / "bhtui/keeper.py").write_text("import sys; sys.exit('one\\ntwo\\nno luck')")
    with pytest.raises(onhost.Fault, match="no luck"):
        onhost.start(sys.executable, str(tmp_path), str(tmp_path / "run"), str(tmp_path / "logs"), {}, 5)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_an_agent_that_says_nothing_is_waited_for_and_named(tmp_path: Path):
    (tmp_path / "bhtui").mkdir()
    (tmp_path / "bhtui/__init__.py").touch()
    (tmp_path / "bhtui/keeper.py").write_text("")
    began = time.monotonic()
    with pytest.raises(onhost.Fault, match="gave no answer"):
        onhost.start(sys.executable, str(tmp_path), str(tmp_path / "run"), str(tmp_path / "logs"), {}, 0.3)
    assert time.monotonic() - began >= 0.3


AGENT = """
import pathlib, socket
path = pathlib.Path(RUN) / "agent.sock"
path.unlink(missing_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(path))
listener.listen()
while True:
    listener.accept()
"""


def test_a_keeper_whose_agent_was_stopped_or_is_broken_is_told_to_run_ours():
    repo = Path(onhost.__file__).parents[2]
    with tempfile.TemporaryDirectory(prefix="bh", dir="/tmp") as folder:
        run, logs, ours = (str(Path(folder) / name) for name in ("run", "logs", "ours"))
        subprocess.run(
            [sys.executable, "-m", "bhtui.keeper", "--run", run, "--log-dir", logs, "--detach", "--", "/bin/false"],
            env={"PYTHONPATH": str(repo)}, check=True, timeout=60,
        )  # fmt: skip
        keeper = int(Path(run, "keeper.lock").read_text())
        try:
            Path(ours, "bhtui").mkdir(parents=True)
            Path(ours, "bhtui/__init__.py").touch()
            Path(ours, "bhtui/agent.py").write_text(f"RUN = {run!r}\n{AGENT}")
            onhost.start(sys.executable, ours, run, logs, {}, 15)
            assert onhost.answers(f"{run}/agent.sock")
            assert int(Path(run, "keeper.lock").read_text()) == keeper
        finally:
            for process in [*psutil.Process(keeper).children(), psutil.Process(keeper)]:
                process.kill()
