"""What the keeper does to be started by systemd; that systemd does start it is tested on a machine that it runs."""

import json
import os
import socket
import subprocess
import sys

import pytest

from bhtui.keeper import client, unit
from tests.waiting import until


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with systemd and cgroup v2, as far as it shows in files; the first argument may be left out."""
    (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(unit, "SYSTEMD", str(tmp_path))
    monkeypatch.setattr(unit, "PROGRAM", sys.executable)
    monkeypatch.setattr(unit, "CGROUPS", str(tmp_path))
    return tmp_path


def test_where_systemd_does_not_run_the_host_the_keeper_stays(host, monkeypatch):
    monkeypatch.setattr(unit, "SYSTEMD", str(host / "missing"))
    assert unit.manager() == ""


def test_where_there_is_no_cgroup_v2_the_keeper_stays(host):
    (host / "cgroup.controllers").unlink()
    assert unit.manager() == ""


def test_root_has_a_unit_of_the_system_and_a_user_only_with_linger(host, monkeypatch):
    monkeypatch.setattr(unit.os, "getuid", lambda: 0)
    assert unit.manager() == "--system"
    monkeypatch.setattr(unit.os, "getuid", lambda: 54321)
    assert unit.manager() == ""


def test_in_a_delegated_group_the_keeper_stays(host, monkeypatch):
    (host / "own").write_text("4:memory:/x\n0::/system.slice/a.service/own\n")
    monkeypatch.setattr(unit, "OWN", str(host / "own"))
    group = host / "system.slice/a.service"
    (group / "own").mkdir(parents=True)
    assert not unit.is_delegated()
    os.setxattr(group, "user.delegate", b"1")
    assert unit.is_delegated()
    assert unit.manager() == ""


def test_a_systemd_that_refuses_is_told_and_leaves_nothing(host, tmp_path, monkeypatch):
    program = tmp_path / "systemd-run"
    program.write_text("#!/bin/sh\necho no bus here >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(unit, "PROGRAM", str(program))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "bhtui.keeper", "--detach", "--", "agent"])
    assert unit.start("--system", str(tmp_path / "run"), str(tmp_path / "logs")) == "no bus here"
    assert list((tmp_path / "run").iterdir()) == []


def test_secrets_of_the_environment_are_in_a_private_file_and_not_on_the_bus(host, tmp_path, monkeypatch):
    program = tmp_path / "systemd-run"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/argv\ncp -p {tmp_path}/run/env.* {tmp_path}/kept\n')
    program.chmod(0o755)
    monkeypatch.setattr(unit, "PROGRAM", str(program))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "bhtui.keeper", "--run", "a$b", "--detach", "--", "agent"])
    monkeypatch.setenv("TOKEN", "very-secret")
    monkeypatch.setenv("PYTHONPATH", "/a/b")
    assert unit.start("--system", str(tmp_path / "run"), str(tmp_path / "logs")) == ""
    words = (tmp_path / "argv").read_text().splitlines()
    assert not [word for word in words if "very-secret" in word]
    assert "--setenv=PYTHONPATH=/a/b" in words
    program_words = words[words.index("--") + 1 :]
    env = f"{tmp_path}/run/env.{os.getpid()}"
    assert program_words == [sys.executable, "-m", "bhtui.keeper", "--run", "a$$b", "--env", env, "--", "agent"]
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "kept").read_text())["TOKEN"] == "very-secret"
    assert list((tmp_path / "run").iterdir()) == []


def test_a_keeper_with_an_environment_file_runs_in_it_and_says_when_it_is_ready(tmp_path):
    (tmp_path / "env").write_text(json.dumps({**os.environ, "TOKEN": "from the file"}))
    notify = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(notify)
        listener.settimeout(60)
        run = str(tmp_path / "r")
        show = "import os, time; print(*map(os.environ.get, ('TOKEN', 'NOTIFY_SOCKET')), flush=True); time.sleep(60)"
        argv = [*("--run", run, "--log-dir", run, "--env", str(tmp_path / "env")), "--", sys.executable, "-c", show]
        keeper = subprocess.Popen(
            [sys.executable, "-m", "bhtui.keeper", *argv], env={**os.environ, "NOTIFY_SOCKET": notify}
        )
        try:
            assert listener.recv(100) == b"READY=1"
            assert (tmp_path / "r/keeper.sock").is_socket()
            log = tmp_path / "r/agent.log"
            until(lambda: log.exists() and "from the file None" in log.read_text(), what="the agent's environment")
        finally:
            client.shutdown(run, force=True)
            keeper.wait(60)
