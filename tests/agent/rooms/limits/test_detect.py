import os
from pathlib import Path

import pytest

from bhtui.agent.rooms.limits import detect as under_test
from bhtui.agent.rooms.limits.detect import base_name, detect


def host(tmp_path, mounts, own="0::/\n"):
    """A host as far as it shows itself in two files; groups are ordinary folders with a cgroup.procs."""
    (tmp_path / "mounts").write_text(
        "".join(f"x {tmp_path / where} {kind} {options} 0 0\n" for where, kind, options in mounts)
    )
    (tmp_path / "own").write_text(own)
    return {"mounts": str(tmp_path / "mounts"), "own": str(tmp_path / "own")}


def group(path, controllers=""):
    path.mkdir(parents=True)
    (path / "cgroup.procs").touch()
    (path / "cgroup.subtree_control").write_text(controllers)


def test_the_name_of_the_folder_depends_on_the_run_folder():
    assert base_name(Path("/run/blackhole")) == base_name(Path("/run/blackhole"))
    assert base_name(Path("/run/blackhole")) != base_name(Path("/run/other"))
    assert base_name(Path("/run/blackhole")).startswith("blackhole-")
    assert len(base_name(Path("/run/blackhole"))) == len("blackhole-") + 8


def test_version_1_controllers_may_share_a_hierarchy(tmp_path):
    base = base_name(tmp_path)
    for name in ("cpu,cpuacct", "memory"):
        group(tmp_path / name / base)
    (tmp_path / "blkio").mkdir()
    found = detect(
        tmp_path,
        **host(
            tmp_path,
            [
                ("cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
                ("memory", "cgroup", "rw,memory"),
                ("blkio", "cgroup", "rw,blkio"),
            ],
        ),
    )
    assert sorted(found.v1) == ["cpu", "cpuacct", "memory"]
    assert found.folders == (tmp_path / "cpu,cpuacct" / base, tmp_path / "memory" / base)
    assert found.v2 is None


def test_version_2_has_the_controllers_that_could_be_turned_on(tmp_path):
    base = base_name(tmp_path)
    group(tmp_path / "two words" / base, "memory pids hugetlb")
    mounts = host(tmp_path, [("two\\040words", "cgroup2", "rw")])
    found = detect(tmp_path, **mounts)
    assert found.v2 == tmp_path / "two words" / base
    # Ordinary files keep what was written last; a kernel keeps the union. It is the reading back that counts.
    assert found.v2_controllers <= {"memory", "cpu", "pids"}


def test_the_own_group_is_used_where_the_top_is_not_writable(tmp_path, monkeypatch):
    base = base_name(tmp_path)
    group(tmp_path / "memory/mine" / base)
    mkdir = Path.mkdir

    def refuse_the_top(self, *args, **kwargs):
        if self == tmp_path / "memory" / base:
            raise PermissionError
        return mkdir(self, *args, **kwargs)

    monkeypatch.setattr(under_test.Path, "mkdir", refuse_the_top)
    found = detect(tmp_path, **host(tmp_path, [("memory", "cgroup", "rw,memory")], "4:memory:/mine\n0::/\n"))
    assert found.v1 == {"memory": tmp_path / "memory/mine" / base}


def test_nothing_there_is_said(tmp_path):
    found = detect(tmp_path, **host(tmp_path, []))
    assert found.folders == ()
    assert found.reason == "no cgroup file system is mounted here"
    found = detect(tmp_path, **host(tmp_path, [("missing", "cgroup", "rw,memory")]))
    assert "cannot be made by this user" in found.reason


def test_a_plain_folder_is_no_hierarchy(tmp_path):
    (tmp_path / "memory").mkdir()
    assert detect(tmp_path, **host(tmp_path, [("memory", "cgroup", "rw,memory")])).v1 == {}
    assert os.listdir(tmp_path / "memory") == [base_name(tmp_path)]


def test_what_systemd_has_delegated_is_the_place_and_its_processes_move_down(tmp_path):
    base = base_name(tmp_path)
    unit = tmp_path / "system.slice/a.service"
    for folder in (unit / base, unit / "own"):
        group(folder)
    (unit / "cgroup.procs").write_text("123\n")
    try:
        os.setxattr(unit, "user.delegate", b"1")
    except OSError:
        pytest.skip("no extended attributes on this file system")
    for own in ("/system.slice/a.service", "/system.slice/a.service/own"):
        found = detect(tmp_path, **host(tmp_path, [(".", "cgroup2", "rw")], f"0::{own}\n"))
        assert found.v2 == tmp_path / "system.slice/a.service" / base
    assert (unit / "own/cgroup.procs").read_text() == "123"
