"""Bringing the agent up at boot: a systemd unit, a user's unit with linger, or cron's @reboot, whichever is there."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bhtui.core.errors import BlackholeError
from bhtui.core.paths import Paths

UNIT = "blackhole.service"
CRON_MARK = "# blackhole agent"

# KillMode=process: stopping the unit ends the keeper, which ends the services in order; systemd must not race it.
# Delegate: the subtree of cgroups below the unit is the agent's to divide.
_UNIT_TEXT = """\
[Unit]
Description=Blackhole agent: runs and watches the services of blackhole.yaml
After=network.target

[Service]
Type=exec
ExecStart={command}
{environment}KillMode=process
Delegate=yes
Restart=always
RestartSec=1
OOMScoreAdjust=-500
TimeoutStopSec=infinity

[Install]
WantedBy={target}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How this machine brings things up at boot."""

    kind: str
    """`system`, `user` or `cron`."""
    where: str
    """What is written, for people."""


def find_way(uid: int) -> Way:
    """The first that works here. Raises BlackholeError when there is none."""
    if Path("/run/systemd/system").is_dir() and shutil.which("systemctl"):
        if uid == 0:
            return Way("system", f"/etc/systemd/system/{UNIT}")
        if _succeeds(["systemctl", "--user", "show-environment"]):
            return Way("user", str(_user_unit()))
    if shutil.which("crontab"):
        return Way("cron", f"the crontab of {getpass.getuser()}")
    raise BlackholeError(
        "cannot install the agent: this machine has neither systemd nor cron; have its init run "
        f"`{shlex.join(keeper_command(Path('RUN'), Path('LOGS')))}` at boot"
    )


def keeper_command(run: Path, logs: Path) -> list[str]:
    """What runs for ever, in the foreground."""
    return [
        *(sys.executable, "-m", "bhtui.keeper", "--run", str(run), "--log-dir", str(logs)),
        *("--", sys.executable, "-m", "bhtui.agent"),
    ]


def unit_text(paths: Paths, target: str, environ: Mapping[str, str]) -> str:
    """The systemd unit (systemd.service(5), systemd.exec(5))."""
    command = " ".join(_quoted(word) for word in keeper_command(paths.run, paths.logs))
    kept = {name: environ[name] for name in ("BLACKHOLE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME") if name in environ}
    lines = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in kept.items())
    return _UNIT_TEXT.format(command=command, environment=lines, target=target)


def _quoted(word: str) -> str:
    """A word of a unit file; `%` and `$` have a meaning there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or " " in word else word


def install(way: Way, paths: Paths) -> None:
    """Makes it come up at boot; does not start it. Raises BlackholeError."""
    if way.kind == "cron":
        line = f"@reboot {_cron_command(paths)} {CRON_MARK}"
        _write_crontab([*_crontab_without_us(), line])
        return
    user = ["--user"] if way.kind == "user" else []
    _write(Path(way.where), unit_text(paths, "default.target" if user else "multi-user.target", os.environ))
    _run(["systemctl", *user, "daemon-reload"], "make systemd read the unit")
    _run(["systemctl", *user, "enable", UNIT], "enable the unit")
    if user:
        # Without linger a user's units end at logout and do not begin at boot.
        _run(["loginctl", "enable-linger", getpass.getuser()], "let your units run while you are logged out")


def uninstall(way: Way) -> bool:
    """Takes back what `install` did; whether there was anything. The running agent is left alone."""
    if way.kind == "cron":
        before, after = _crontab(), _crontab_without_us()
        if before != after:
            _write_crontab(after)
        return before != after
    path = Path(way.where)
    if not path.exists():
        return False
    user = ["--user"] if way.kind == "user" else []
    _run(["systemctl", *user, "disable", UNIT], "disable the unit")
    path.unlink()
    _run(["systemctl", *user, "daemon-reload"], "make systemd forget the unit")
    return True


def _user_unit() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "systemd/user" / UNIT


def _cron_command(paths: Paths) -> str:
    home = os.environ.get("BLACKHOLE_HOME")
    env = [f"BLACKHOLE_HOME={Path(home).expanduser().absolute()}"] if home else []
    words = ["env", *env, *keeper_command(paths.run, paths.logs)]
    words.insert(words.index("--"), "--detach")
    return shlex.join(words).replace("%", "\\%")  # a bare % ends a command in crontab(5)


def _crontab() -> list[str]:
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _crontab_without_us() -> list[str]:
    return [line for line in _crontab() if CRON_MARK not in line]


def _write_crontab(lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    _run(["crontab", "-"], "write the crontab", text)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).chmod(0o644)
        Path(file.name).rename(path)
    except OSError as error:
        raise BlackholeError(f"cannot write {path}: {error.strerror}; run it as a user who may") from None


def _run(argv: Sequence[str], what: str, text: str | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False, timeout=60)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BlackholeError(f"cannot {what}: {shlex.join(argv)}: {said[0]}")


def _succeeds(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0
