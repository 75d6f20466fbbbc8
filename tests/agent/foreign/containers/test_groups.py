"""Where the kernel counts what a container uses."""

from __future__ import annotations

from pathlib import Path

from bhtui.agent.foreign.containers import groups

ID = "c0ffee" + "0" * 58


def _process(folder: Path, text: str) -> Path:
    (folder / "7").mkdir(parents=True)
    (folder / "7" / "cgroup").write_text(text)
    return folder


def test_the_group_is_the_one_that_bears_the_id(tmp_path: Path) -> None:
    two = _process(tmp_path / "a", f"0::/machine.slice/libpod-{ID}.scope/container\n")
    assert groups.of_process(7, ID, two) == f"/machine.slice/libpod-{ID}.scope/container"
    deep = _process(tmp_path / "c", f"0::/system.slice/docker-{ID}.scope/init.scope\n")
    assert groups.of_process(7, ID, deep) == f"/system.slice/docker-{ID}.scope"
    one = _process(tmp_path / "b", f"9:cpu,cpuacct:/docker/{ID}\n4:memory:/docker/{ID}\n0::/elsewhere\n")
    assert groups.of_process(7, ID, one) == f"/docker/{ID}"


def test_a_process_of_something_else_has_none(tmp_path: Path) -> None:
    assert groups.of_process(7, ID, _process(tmp_path, "0::/system.slice/ssh.service\n")) == ""
    assert groups.of_process(8, ID, tmp_path) == ""


def test_what_is_used_is_read_in_both_versions(tmp_path: Path) -> None:
    two = tmp_path / "two" / f"system.slice/docker-{ID}.scope"
    one = tmp_path / "one/memory/docker" / ID
    two.mkdir(parents=True)
    one.mkdir(parents=True)
    (two / "memory.current").write_text("5000\n")
    (two / "memory.stat").write_text("anon 1\ninactive_file 1000\n")
    (two / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (one / "memory.usage_in_bytes").write_text("7000\n")
    assert groups.memory_bytes(ID, tmp_path / "two") == 4000
    assert groups.cpu_seconds(ID, tmp_path / "two") == 2.5
    assert groups.memory_bytes(ID, tmp_path / "one") == 7000
    assert groups.cpu_seconds(ID, tmp_path / "one") is None
