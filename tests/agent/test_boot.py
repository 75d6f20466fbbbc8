"""Coming up at boot: what is written and where, and that a machine which has just come up runs what it ran before."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.agent import identity
from bhtui.agent.boot import installing, ways
from bhtui.agent.boot.cron import CRON_MARK
from bhtui.agent.boot.unit import unit_text
from bhtui.agent.foreign.systemd import restarts
from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths, resolve
from bhtui.rpc import quick, stopped
from tests.live.home import Home, home
from tests.waiting import until

CONFIG = "services: {job: {command: [sleep, '1000']}}"

CRONTAB = """\
[ "$1" != -l ] || exec cat {folder}/table
cat > {folder}/new && mv {folder}/new {folder}/table
"""

# What the real one does with a unit of Type=forking, as far as the unit can tell.
SYSTEMCTL = """\
echo "$*" >> {folder}/calls
[ "$1" != --user ] || shift
of() {{ sed -n "s/^$2=//p" {folder}/units/$1; }}
case $1 in
  start) sh -c "$(of $2 ExecStart)" && kill -0 "$(cat "$(of $2 PIDFile)")" ;;
  stop) sh -c "$(of $2 ExecStop)" ;;
  is-active) kill -0 "$(cat "$(of $2 PIDFile)")" ;;
esac
"""


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def tools() -> Iterator[Path]:
    """A folder for programs that stand before all others on the PATH."""
    with tempfile.TemporaryDirectory(prefix="bh-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "units").mkdir()
        program(folder, "crontab", CRONTAB.format(folder=folder))
        program(folder, "systemctl", SYSTEMCTL.format(folder=folder))
        program(folder, "loginctl", f'echo "loginctl $*" >> {folder}/calls')
        yield folder


def run(here: Home, tools: Path, *words: str, systemd: bool = False, code: int = 0) -> str:
    """`python -m bhtui.agent.boot` on a machine with systemd, or without; what it said."""
    there = tools if systemd else tools / "none"
    source = (
        "import sys; from pathlib import Path; from bhtui.agent.boot import __main__, ways;"
        f"ways.SYSTEMD = Path({str(there)!r}); ways.SYSTEM_UNITS = Path({str(tools / 'units')!r});"
        "sys.exit(__main__.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, *words], capture_output=True, text=True, timeout=60, check=False,
        env={**here.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def go_down(here: Home) -> None:
    """As the host does: SIGTERM to the keeper, until nothing is left."""
    os.kill(here.keeper_pid(), signal.SIGTERM)
    until(lambda: not here.processes(), 30, "everything has ended")


def come_up(line: str) -> None:
    """As cron or systemd does: the line, in an environment that knows nothing of ours."""
    subprocess.run(["sh", "-c", line], env={"PATH": "/usr/bin:/bin"}, check=True, timeout=60)


def test_cron_brings_up_what_was_up_and_uninstall_leaves_nothing(tools: Path) -> None:
    (tools / "table").write_text("0 1 * * * backup\n")
    with home(CONFIG) as here:
        here.cli("start")
        assert "comes up at boot: an @reboot line in the crontab of " in run(here, tools, "install")
        run(here, tools, "install")
        first, second = (tools / "table").read_text().splitlines()
        assert first == "0 1 * * * backup"
        assert second == f"@reboot /bin/sh {here.paths.state}/start start {CRON_MARK}"
        assert "an @reboot line" in here.agent()["boot"]
        go_down(here)
        come_up(second.removeprefix("@reboot "))
        here.wait_state("job-1", "running")
        assert "comes up at boot: an @reboot line" in run(here, tools, "status")
        told = run(here, tools, "uninstall", "--dry-run")
        assert "would stop: every service in order" in told
        assert "would remove: an @reboot line" in told
        assert f"would remove: {here.paths.state}; with it what was set at run time" in told
        assert f"would keep: {here.paths.logs} {here.paths.config}" in told
        here.wait_state("job-1", "running")
        said = run(here, tools, "uninstall")
        assert "services, agent and keeper were stopped" in said
        assert f"removed: {here.paths.state}\n" in said
        assert f"kept: {here.paths.logs} {here.paths.config}" in said
        assert here.processes() == []
        assert (tools / "table").read_text() == "0 1 * * * backup\n"
        assert sorted(each.name for each in here.path.iterdir()) == ["blackhole.yaml", "logs"]
        assert "was not installed" in run(here, tools, "status")
        assert f"would remove: {here.paths.config}\n" in run(here, tools, "uninstall", "--dry-run", "--purge")
        assert here.paths.config.exists()
        run(here, tools, "uninstall", "--purge")
        assert not here.path.exists()
        assert run(here, tools, "uninstall", "--dry-run") == "nothing is installed here\n"


@pytest.mark.skipif(os.getuid() != 0, reason="units of the system are root's")
def test_a_unit_starts_stops_and_goes(tools: Path) -> None:
    with home(CONFIG) as here:
        assert "the agent was started" in run(here, tools, "install", systemd=True)  # through the unit
        [unit] = (tools / "units").iterdir()
        assert unit.stat().st_mode & 0o777 == 0o644
        here.cli("start")
        calls = (tools / "calls").read_text().splitlines()
        assert calls == ["daemon-reload", f"enable {unit.name}", f"start {unit.name}"]
        keeper = here.keeper_pid()
        # A killed keeper is replaced by its agent; systemd then runs the launcher again.
        os.kill(keeper, signal.SIGKILL)
        until(lambda: here.keeper_pid() != keeper and here.status())
        subprocess.run([tools / "systemctl", "start", unit.name], check=True, timeout=60)
        assert int((here.paths.run / "boot.pid").read_text()) == here.keeper_pid()
        subprocess.run([tools / "systemctl", "stop", unit.name], check=True, timeout=60)
        assert here.processes() == []
        assert stopped.read(here.paths.state) is not None
        subprocess.run([tools / "systemctl", "start", unit.name], check=True, timeout=60)
        here.wait_state("job-1", "running")
        assert stopped.read(here.paths.state) is None
        run(here, tools, "uninstall", systemd=True)
        assert here.processes() == []
        assert list((tools / "units").iterdir()) == []
        assert (tools / "calls").read_text().splitlines()[-3:] == [
            f"stop {unit.name}",
            f"disable {unit.name}",
            "daemon-reload",
        ]


def test_who_stopped_the_agent_is_not_overruled_by_install(tools: Path) -> None:
    with home(CONFIG) as here:
        here.cli("agent", "start")
        here.cli("agent", "stop")
        assert "it was stopped and stays so until then" in run(here, tools, "install")
        assert here.processes() == []


def test_a_broken_agent_is_ended_all_the_same(tools: Path) -> None:
    with home(CONFIG) as here:
        here.cli("start")
        os.kill(here.agent_pid(), signal.SIGSTOP)
        here.paths.agent_socket.unlink()
        assert "services, agent and keeper were stopped" in run(here, tools, "stop")
        assert here.processes() == []
        assert "nothing runs here" in run(here, tools, "stop")


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paths:
    monkeypatch.setenv("BLACKHOLE_HOME", str(tmp_path / "100% black hole"))
    return resolve(os.environ, os.getuid(), Path("/root"))


def test_the_unit_quotes_what_means_something_to_systemd(paths: Paths) -> None:
    lines = unit_text(paths, "multi-user.target").splitlines()
    place = str(paths.state).replace("%", "%%")
    assert f'ExecStart=/bin/sh "{place}/start" start' in lines
    assert f'ExecStop=/bin/sh "{place}/start" stop' in lines
    assert {"KillMode=process", "Delegate=yes", "Type=forking", "Restart=on-failure"} <= set(lines)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(paths: Paths, tmp_path: Path) -> None:
    unit = tmp_path / "blackhole.service"
    unit.write_text(unit_text(paths, "multi-user.target"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    mine = [line for line in done.stderr.splitlines() if "blackhole.service" in line]
    assert mine == []


def test_the_launcher_is_ours_alone_and_quoted(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/it's here")
    monkeypatch.setenv("SECRET", "x")
    identity.write_launcher(paths)
    file = identity.launcher(paths)
    assert file.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in file.parent.iterdir()] == ["start"]
    assert f"export PYTHONPATH={shlex.quote(os.environ['PYTHONPATH'])}\n" in file.read_text()
    assert "SECRET" not in file.read_text()
    subprocess.run(["sh", "-n", file], check=True)


def test_a_failing_tool_is_named(tools: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tools, "systemctl", "echo no bus >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(ways, "find_way", lambda _: ways.Way("system", tools / "units/blackhole.service"))
    with pytest.raises(BlackholeError, match=r"cannot make systemd read the unit: systemctl daemon-reload: no bus"):
        installing.install(paths)


def test_without_systemd_cron_is_taken_and_without_both_it_says_what_to_do(
    tools: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "SYSTEMD", tools / "none")
    monkeypatch.setenv("PATH", str(tools))
    assert ways.find_way(paths).kind == "cron"
    (tools / "crontab").unlink()
    with pytest.raises(BlackholeError, match=r"neither systemd nor cron; have its init run `/bin/sh .*start. start`"):
        installing.install(paths)
    assert identity.launcher(paths).exists(), "it is what people are told to run"


def test_what_install_would_do_is_said_and_not_done(
    tools: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    unit = tools / "units/blackhole.service"
    monkeypatch.setattr(ways, "find_way", lambda _: ways.Way("system", unit))
    installing.foretell_install(paths)
    assert capsys.readouterr().out.splitlines() == [
        f"would make the agent come up at boot: the systemd unit {unit} (system)",
        f"would write {unit} and enable it",
        "would start the agent",
    ]
    monkeypatch.setattr(ways, "find_way", lambda _: ways.Way("cron"))
    installing.foretell_install(paths)
    assert "would add: @reboot /bin/sh " in capsys.readouterr().out
    assert not unit.exists()
    assert not identity.launcher(paths).exists()


def test_words_it_does_not_know_are_2(tools: Path) -> None:
    with home() as here:
        assert run(here, tools, "fly", code=2).startswith("cannot tell what to do")
        with pytest.raises(OSError):
            quick.status(str(here.paths.agent_socket))


def test_restarts_that_a_killed_agent_held_are_let(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with home(CONFIG) as here:
        folder = here.path / "user-run"
        place = folder / "systemd/user/web.service.d" / restarts.NAME
        place.parent.mkdir(parents=True)
        place.write_text(restarts.TEXT)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        assert "systemd restarts web.service by itself again" in run(here, tools, "uninstall")
        assert not place.parent.exists()
        assert "daemon-reload" in (tools / "calls").read_text()
