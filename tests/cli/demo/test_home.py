"""The demonstration's folder."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bhtui.cli.demo import home
from bhtui.config.load import load
from bhtui.core.errors import BlackholeError, Refused
from bhtui.core.paths import resolve
from bhtui.platform.demo import PORTS, SERVICES


def test_it_is_blackhole_home_or_beside_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/tmp/x")
    monkeypatch.delenv("BLACKHOLE_HOME", raising=False)
    assert home.folder(home.enter()) == Path("/tmp/x/blackhole-demo")
    monkeypatch.setenv("BLACKHOLE_HOME", "/tmp/y")
    assert home.folder(home.enter()) == Path("/tmp/y")


def test_the_configuration_is_one_and_keeps_its_ports(tmp_path: Path) -> None:
    paths = resolve({"BLACKHOLE_HOME": str(tmp_path)}, 0, tmp_path)
    with pytest.raises(BlackholeError, match="demo up"):
        home.base_port(paths)
    home.configure(paths, 7777)
    assert list(load(paths.config).services) == list(SERVICES)
    assert home.base_port(paths) == 7777
    password = tmp_path / "backups" / "password"
    assert load(paths.config).backup.password_file == str(password)
    assert password.stat().st_mode & 0o777 == 0o600
    before = password.read_text()
    assert ":7777" in home.configure(paths, None)
    assert password.read_text() == before


def test_another_configuration_is_left_alone(tmp_path: Path) -> None:
    paths = resolve({"BLACKHOLE_HOME": str(tmp_path)}, 0, tmp_path)
    paths.config.write_text("services: {}\n")
    with pytest.raises(Refused, match="another configuration"):
        home.configure(paths, None)
    assert paths.config.read_text() == "services: {}\n"


def test_taken_ports_are_stepped_over() -> None:
    first = home.free_block()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 3))
        taken.listen()
        assert home.free_block() >= first + PORTS
