"""Coming up at boot: what is written, and where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bhtui.cli import boot
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import resolve

PATHS = resolve({"BLACKHOLE_HOME": "/srv/black hole"}, 0, Path("/root"))


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("BLACKHOLE_HOME", "/srv/black hole")
    return tmp_path


def test_the_unit_is_the_keeper_in_the_foreground() -> None:
    text = boot.unit_text(PATHS, "multi-user.target", {"BLACKHOLE_HOME": "/srv/100% black hole", "HOME": "/root"})
    lines = text.splitlines()
    assert "KillMode=process" in lines
    assert "Delegate=yes" in lines
    assert 'Environment="BLACKHOLE_HOME=/srv/100%% black hole"' in lines
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert ' -m bhtui.keeper --run "/srv/black hole/run" ' in command
    assert command.endswith(" -m bhtui.agent")
    assert "--detach" not in command


def test_cron_lines_come_and_go_and_leave_others_alone(programs: Path) -> None:
    table = programs / "table"
    table.write_text("0 1 * * * backup\n")
    program(
        programs,
        "crontab",
        f'if [ "$1" = -l ]; then cat "{table}"; else cat > "{table}.new" && mv "{table}.new" "{table}"; fi',
    )
    way = boot.Way("cron", "the crontab")
    boot.install(way, PATHS)
    boot.install(way, PATHS)
    first, second = table.read_text().splitlines()
    assert first == "0 1 * * * backup"
    assert second.startswith("@reboot env 'BLACKHOLE_HOME=/srv/black hole' ")
    assert "--detach" in second
    assert boot.uninstall(way)
    assert not boot.uninstall(way)
    assert table.read_text() == "0 1 * * * backup\n"


def test_a_unit_is_written_enabled_and_removed(programs: Path) -> None:
    calls = programs / "calls"
    program(programs, "systemctl", f'echo "$@" >> "{calls}"')
    program(programs, "loginctl", f'echo linger >> "{calls}"')
    unit = programs / "systemd" / boot.UNIT
    way = boot.Way("user", str(unit))
    boot.install(way, PATHS)
    assert unit.read_text().startswith("[Unit]")
    assert unit.stat().st_mode & 0o777 == 0o644
    assert boot.uninstall(way)
    assert not unit.exists()
    assert not boot.uninstall(way)
    assert calls.read_text().splitlines() == [
        "--user daemon-reload",
        f"--user enable {boot.UNIT}",
        "linger",
        f"--user disable {boot.UNIT}",
        "--user daemon-reload",
    ]


def test_a_failing_tool_is_named(programs: Path) -> None:
    program(programs, "systemctl", "echo no bus >&2; exit 1")
    with pytest.raises(BlackholeError, match=r"cannot make systemd read the unit: systemctl daemon-reload: no bus"):
        boot.install(boot.Way("system", str(programs / boot.UNIT)), PATHS)


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="this machine has systemd")
def test_without_systemd_cron_is_taken_and_without_both_it_says_what_to_do(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(BlackholeError, match="neither systemd nor cron; have its init run"):
        boot.find_way(os.getuid())
    program(programs, "crontab", "true")
    assert boot.find_way(os.getuid()).kind == "cron"
