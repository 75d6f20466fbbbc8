"""Coming up at boot, on the host itself: `python -m bhtui.agent.boot start|stop|install|uninstall|status`.

Run by the launcher (`identity.launcher`), which a unit or crontab line executes, and by the command line: here as a
subprocess, on other hosts over SSH. There are three ways to come up, the first that works is taken: a systemd unit of
the system, a unit of the user with linger, cron's @reboot. Standard library only. What is done is printed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bhtui.agent import identity
from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.paths import Paths, resolve
from bhtui.keeper import force
from bhtui.keeper.client import KeeperClient, KeeperError, NoKeeper
from bhtui.keeper.client import shutdown as end_keeper
from bhtui.rpc import local, stopped

SYSTEMD = Path("/run/systemd/system")
"""There only where systemd runs the machine (sd_booted(3))."""
SYSTEM_UNITS = Path("/etc/systemd/system")
CRON_MARK = "# blackhole agent"
STOP_SECONDS = 170.0
"""For services, agent and keeper to end in order: a little longer than the agent gives them, and less than the unit."""

# Type=forking with a file of our own for the pid: when a killed keeper was replaced by its agent, systemd runs the
# launcher again, which finds the new keeper and writes its pid. KillMode=process: the keeper ends the services in
# order, systemd must not race it. Delegate: the subtree of cgroups below the unit is the agent's to divide.
# Restart=on-failure: a stop that somebody asked for ends with 0 and is not undone.
_UNIT = """\
[Unit]
Description=Blackhole agent: runs and watches the services of {config}
After=network.target

[Service]
Type=forking
PIDFile={pid}
ExecStart=/bin/sh {launcher} start
ExecStop=/bin/sh {launcher} stop
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=1
TimeoutStartSec=60
TimeoutStopSec=180

[Install]
WantedBy={target}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How this machine brings things up at boot."""

    kind: str
    """`system`, `user` or `cron`."""
    unit: Path | None = None

    def __str__(self) -> str:
        if self.unit is None:
            return f"an @reboot line in the crontab of {_user()}"
        whose = "system" if self.kind == "system" else f"user {_user()}, with linger"
        return f"the systemd unit {self.unit} ({whose})"


def find_way(paths: Paths) -> Way:
    """The first that works here. Raises BlackholeError when there is none."""
    if SYSTEMD.is_dir() and shutil.which("systemctl"):
        if os.getuid() == 0:
            return Way("system", SYSTEM_UNITS / unit_name(paths))
        if _succeeds(["systemctl", "--user", "show-environment"]):
            base = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
            return Way("user", base / "systemd/user" / unit_name(paths))
    if shutil.which("crontab"):
        return Way("cron")
    raise BlackholeError(
        "cannot install the agent: this machine has neither systemd nor cron; "
        f"have its init run `{shlex.join(['/bin/sh', str(identity.launcher(paths)), 'start'])}` at boot"
    )


def unit_name(paths: Paths) -> str:
    """One for each installation of a user; the one at the usual places has the plain name."""
    if not os.environ.get("BLACKHOLE_HOME"):
        return "blackhole.service"
    return f"blackhole-{hashlib.sha256(os.fsencode(paths.run)).hexdigest()[:8]}.service"


def unit_text(paths: Paths, target: str) -> str:
    """The unit (systemd.service(5), systemd.exec(5), systemd.kill(5))."""
    launcher = _quoted(str(identity.launcher(paths)))
    pid, config = (str(path).replace("%", "%%") for path in (_pid_file(paths), paths.config))
    return _UNIT.format(config=config, pid=pid, launcher=launcher, target=target)


def _quoted(word: str) -> str:
    """A word of a command line in a unit; `%` and `$` have a meaning there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or " " in word else word


# ---- what the launcher does


def start(paths: Paths) -> None:
    """Starts keeper and agent unless they run, and writes the keeper's pid for systemd. Raises BlackholeError."""
    started = local.ensure_agent(paths, stopped.Wake.ALWAYS)
    pid = _keeper_pid(paths)
    identity.write_whole(_pid_file(paths), f"{pid}\n", 0o600)
    print(f"the agent {'was started' if started else 'runs already'}, keeper process {pid}; logs are in {paths.logs}")


def stop(paths: Paths) -> None:
    """Has the services stopped in order, then agent and keeper; returns when they have ended. Raises BlackholeError."""
    if halt(paths):
        print("services, agent and keeper were stopped")
    else:
        print("nothing runs here")


def halt(paths: Paths) -> bool:
    """As `stop`; whether anything ran."""
    if not local.anything_runs(paths):
        return False
    pid = _keeper_pid(paths)
    # systemd's ExecStop has nobody's name; for it and for uninstall the user must do.
    stopped.write(paths.state, "systemd" if "INVOCATION_ID" in os.environ else _user(), time.time_ns())
    if not pid or force.is_stuck(paths.run):
        force.end_agents(paths.run)  # first, or it would start another keeper
        force.end_everything(paths.run, hold=False)
    elif local.answers(paths.agent_socket):
        os.kill(pid, signal.SIGTERM)
    else:
        _end_by_force(paths)
    deadline = time.monotonic() + STOP_SECONDS
    while local.keeper_answers(paths):
        if time.monotonic() > deadline:
            raise BlackholeError(
                f"cannot end the agent: it still runs after {STOP_SECONDS:.0f} s; `blackhole status` shows what holds "
                "it up, `blackhole stop --emergency` kills that"
            )
        time.sleep(0.02)
    return True


def _end_by_force(paths: Paths) -> None:
    """Without an agent nobody knows the order."""
    try:
        end_keeper(paths.run, force=True)
    except NoKeeper:
        return  # it ended meanwhile
    except KeeperError as error:
        raise BlackholeError(f"{error}; end its processes by hand, `ps` shows them") from None


def _keeper_pid(paths: Paths) -> int:
    """0: none runs."""
    try:
        with KeeperClient(paths.run) as keeper:
            return int(keeper.request("stats")["pid"])
    except KeeperError:
        return 0


def _pid_file(paths: Paths) -> Path:
    """Not the keeper's lock: systemd removes this one when the unit has ended."""
    return paths.run / "boot.pid"


# ---- installing


def install(paths: Paths) -> None:
    """Makes the agent come up at boot, and starts it now unless somebody stopped it. Raises BlackholeError."""
    if not identity.launcher(paths).exists():
        identity.write_launcher(paths)  # first: where there is no way, people are told to use it
    way = find_way(paths)
    if way.unit is None:
        line = f"@reboot {_cron_command(paths)} {CRON_MARK}"
        _write_crontab([*_crontab_without_us(paths), line])
    else:
        _install_unit(way, way.unit, paths)
    identity.write_whole(_note(paths), str(way), 0o600)
    print(f"the agent comes up at boot: {way}")
    if stopped.read(paths.state):
        print("it was stopped and stays so until then; start it with `blackhole agent start`")
    elif not local.answers(paths.agent_socket):
        if way.unit is not None and not local.keeper_answers(paths):
            _run([*_systemctl(way), "start", way.unit.name], "start the unit")
        else:
            local.ensure_agent(paths, stopped.Wake.ALWAYS)
        print("the agent was started")


def foretell_install(paths: Paths) -> None:
    """Says what `install` would do, and does nothing. Raises BlackholeError where there is no way."""
    way = find_way(paths)
    if _installed(paths):
        print(f"the agent comes up at boot already: {way}")
    elif way.unit is None:
        print(f"would make the agent come up at boot: {way}")
        print(f"would add: @reboot {_cron_command(paths)} {CRON_MARK}")
    else:
        print(f"would make the agent come up at boot: {way}")
        print(f"would write {way.unit} and enable it")
    if way.kind == "user":
        print(f"would let units of {_user()} run while nobody is logged in (loginctl enable-linger)")
    if stopped.read(paths.state):
        print("the agent was stopped and would stay so until then")
    elif not local.answers(paths.agent_socket):
        print("would start the agent")


def _install_unit(way: Way, unit: Path, paths: Paths) -> None:
    try:
        unit.parent.mkdir(parents=True, exist_ok=True)
        target = "multi-user.target" if way.kind == "system" else "default.target"
        identity.write_whole(unit, unit_text(paths, target), 0o644)
    except OSError as error:
        raise BlackholeError(f"cannot write {unit}: {error.strerror}; run it as a user who may") from None
    _run([*_systemctl(way), "daemon-reload"], "make systemd read the unit")
    _run([*_systemctl(way), "enable", unit.name], "enable the unit")
    if way.kind == "user":
        # Without linger a user's units end at logout and do not begin at boot.
        _run(["loginctl", "enable-linger", _user()], "let your units run while you are logged out")


def uninstall(paths: Paths, purge: bool) -> None:
    """Stops everything in order and removes what install and the agent made; `purge`: logs and configuration too.

    What services keep themselves is never touched. Raises BlackholeError.
    """
    way = _installed(paths)
    if way is not None and way.unit is not None and _succeeds([*_systemctl(way), "is-active", way.unit.name]):
        _run([*_systemctl(way), "stop", way.unit.name], "stop the unit")
    if halt(paths):
        print("services, agent and keeper were stopped")
    if way is not None:
        _take_back(way, paths)
        print(f"removed: {way}")
    folders = _ours(paths, purge)
    for path in folders:
        if _remove(path):
            print(f"removed: {path}")
    for folder in {path.parent for path in folders}:
        ours = folder.name == "blackhole" or folder == paths.config.parent
        if ours and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _say_kept("kept", paths)


def foretell(paths: Paths, purge: bool) -> None:
    """Says what `uninstall` would do, and does nothing."""
    if local.anything_runs(paths):
        print("would stop: every service in order, but units and containers, which go on; then agent and keeper")
    if way := _installed(paths):
        print(f"would remove: {way}")
    there = [path for path in _ours(paths, purge) if path.exists()]
    for path in there:
        held = "; with it what was set at run time, operations, events and metrics" if path == paths.state else ""
        print(f"would remove: {path}{held}")
    if not there and way is None:
        print("nothing is installed here")
    if not purge:
        _say_kept("would keep", paths)


def _ours(paths: Paths, purge: bool) -> list[Path]:
    """What uninstall removes."""
    return [paths.run, paths.state, *([paths.logs, paths.config] if purge else [])]


def _say_kept(word: str, paths: Paths) -> None:
    if kept := [str(path) for path in (paths.logs, paths.config) if path.exists()]:
        print(f"{word}: {' '.join(kept)} (--purge removes them)")


def _take_back(way: Way, paths: Paths) -> None:
    if way.unit is None:
        _write_crontab(_crontab_without_us(paths))
        return
    _run([*_systemctl(way), "disable", way.unit.name], "disable the unit")
    way.unit.unlink(missing_ok=True)
    _run([*_systemctl(way), "daemon-reload"], "make systemd forget the unit")


def _remove(path: Path) -> bool:
    """A file or a whole folder; whether it was there."""
    try:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            return False
    except OSError as error:
        raise BlackholeError(f"cannot remove {error.filename}: {error.strerror}; remove it by hand") from None
    return True


def _installed(paths: Paths) -> Way | None:
    """How it comes up at boot now; None: it does not."""
    try:
        way = find_way(paths)
    except BlackholeError:
        return None
    there = way.unit.exists() if way.unit is not None else _crontab() != _crontab_without_us(paths)
    return way if there else None


def noted(paths: Paths) -> str:
    """What `install` said of the way, without asking any program; empty: it was not installed."""
    try:
        return _note(paths).read_text()
    except OSError:
        return ""


def _note(paths: Paths) -> Path:
    return paths.state / "boot"


def status(paths: Paths) -> None:
    """Says how it comes up at boot, as it is and not as it was noted."""
    way = _installed(paths)
    print(f"the agent comes up at boot: {way}" if way else "the agent does not come up at boot: it was not installed")


# ---- tools


def _systemctl(way: Way) -> list[str]:
    return ["systemctl", *(["--user"] if way.kind == "user" else [])]


def _cron_command(paths: Paths) -> str:
    # A bare % ends a command in crontab(5).
    return shlex.join(["/bin/sh", str(identity.launcher(paths)), "start"]).replace("%", "\\%")


def _crontab() -> list[str]:
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _crontab_without_us(paths: Paths) -> list[str]:
    mine = f"@reboot {_cron_command(paths)} {CRON_MARK}"
    return [line for line in _crontab() if line != mine]


def _write_crontab(lines: Sequence[str]) -> None:
    _run(["crontab", "-"], "write the crontab", "".join(f"{line}\n" for line in lines))


def _run(argv: Sequence[str], what: str, text: str | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False, timeout=STOP_SECONDS + 20)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BlackholeError(f"cannot {what}: {shlex.join(argv)}: {said[0]}")


def _succeeds(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _reach_user_manager() -> None:
    """A session that PAM did not make has no XDG_RUNTIME_DIR, without which systemctl --user finds nobody."""
    folder = Path(f"/run/user/{os.getuid()}")
    if "XDG_RUNTIME_DIR" not in os.environ and folder.is_dir():
        os.environ["XDG_RUNTIME_DIR"] = str(folder)


def main(words: Sequence[str]) -> int:
    """The exit code; errors are one line on stderr."""
    os.umask(0o077)
    try:
        _reach_user_manager()
        paths = resolve(os.environ, os.getuid(), Path.home())
        match list(words):
            case ["start"]:
                start(paths)
            case ["stop"]:
                stop(paths)
            case ["install"]:
                install(paths)
            case ["install", "--dry-run"]:
                foretell_install(paths)
            case ["uninstall", *more] if set(more) <= {"--purge", "--dry-run"}:
                (foretell if "--dry-run" in more else uninstall)(paths, "--purge" in more)
            case ["status"]:
                status(paths)
            case _:
                raise UsageError(
                    "cannot tell what to do: start, stop, install [--dry-run], "
                    "uninstall [--purge] [--dry-run] or status"
                )
    except BlackholeError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"cannot go on: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
