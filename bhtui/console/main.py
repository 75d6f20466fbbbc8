"""`bhtui`: reads what was asked, makes the app, and turns every error into one line.

Little is imported before the first frame: the links and what they need are loaded while it is on the screen.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bhtui import __version__
from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.paths import Paths, resolve

if TYPE_CHECKING:
    from bhtui.ssh.inventory import Host

    from .options import Options
    from .sources.live import Links, LiveBackend
    from .sources.message import HostInfo

EPILOG = (
    "Keys: ? shows those that work where you are. Hosts and groups are declared in hosts.yaml beside blackhole.yaml."
)
FRAMES = 20.0
FRAMES_OVER_SSH = 8.0
"""Times a second that the screen is drawn at most; a line that is shared with others wants fewer."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "bhtui", description="One screen for the services on many Linux hosts.", epilog=EPILOG, add_help=True
    )
    parser.add_argument(
        "hosts",
        nargs="*",
        metavar="[user@]host[:port]",
        help="hosts to watch, named or ad hoc; `local` is this machine",
    )
    parser.add_argument("--host", action="append", default=[], help="another host to watch; may be repeated")
    parser.add_argument("--group", action="append", default=[], help="watch the hosts of this group; may be repeated")
    parser.add_argument(
        "--config", type=Path, help="the blackhole.yaml beside which hosts.yaml, keys.yaml and themes/ are"
    )
    parser.add_argument("--theme", default=os.environ.get("BHTUI_THEME", "night"), help="a theme's name or file")
    parser.add_argument("--read-only", action="store_true", help="take away every action that changes something")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the session to a file (.gz: compressed)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="show a recorded session instead of live hosts")
    parser.add_argument("--version", action="version", version=f"bhtui {__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """The console script."""
    asked = _parser().parse_args(argv)
    try:
        code = run(asked)
    except BlackholeError as error:
        print(f"bhtui: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)


def run(asked: argparse.Namespace) -> int:
    """Runs the console. Raises core errors for what stands in the way of the first frame."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("cannot show a console: this is no terminal; for scripts there is `blackhole status`")
    over_ssh = "SSH_CONNECTION" in os.environ
    frames = FRAMES_OVER_SSH if over_ssh else FRAMES
    # Read by Textual when it is imported.
    os.environ.setdefault("TEXTUAL_FPS", f"{frames:.0f}")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if asked.config and not asked.config.exists():
        raise UsageError(f"cannot find {asked.config}; name the blackhole.yaml beside which hosts.yaml is")
    folder = (asked.config.absolute() if asked.config else _paths().config).parent
    options = _options(asked, folder, frames)
    return _replay(asked.replay, options) if asked.replay else _live(asked, folder, options)


def _paths() -> Paths:
    return resolve(os.environ, os.getuid(), Path.home())


def _options(asked: argparse.Namespace, folder: Path, frames: float) -> Options:
    from .keymap import load
    from .options import Options

    return Options(
        theme=asked.theme, theme_folders=(folder / "themes",), read_only=asked.read_only,
        keymap=load(folder / "keys.yaml"), frames=frames, crash_file=_paths().state / "bhtui-crash.txt",
    )  # fmt: skip


def _replay(path: Path, options: Options) -> int:
    from .replaying import ReplayConsole
    from .sources.replay import Replay

    app = ReplayConsole(Replay(path, time.monotonic), options)
    app.run()
    return app.return_code or 0


def _live(asked: argparse.Namespace, folder: Path, options: Options) -> int:
    from .app import Console
    from .sources.record import Recorder

    hosts = _hosts(asked, folder)
    backend = live_backend(hosts)
    if len(hosts) == 1:
        options = replace(options, open_host=hosts[0].name)
    recorder = Recorder(asked.record, time.time(), backend.hosts()) if asked.record else None
    try:
        app = Console(backend, time.time, options, recorder or (lambda _: None))
        app.run()
    finally:
        if recorder:
            recorder.close()
    return app.return_code or 0


def _hosts(asked: argparse.Namespace, folder: Path) -> tuple[Host, ...]:
    from bhtui.ssh.inventory import LOCAL, Host, load

    found = load(folder / "hosts.yaml").select([*asked.hosts, *asked.host], asked.group)
    if not found and asked.group:
        raise UsageError(f"cannot find a host in {' '.join(asked.group)}; add some to {folder / 'hosts.yaml'}")
    found = found or (Host(LOCAL),)
    return tuple(replace(host, read_only=True) for host in found) if asked.read_only else found


def live_backend(hosts: tuple[Host, ...]) -> LiveBackend:
    """A backend that connects to these hosts when it runs."""
    from .sources.live import LiveBackend

    def connect() -> Links:
        from bhtui.ssh.fleet import Fleet

        # What is loaded now stays: otherwise the collector goes through all of it again and again, and the keys wait.
        gc.freeze()
        return Fleet(hosts)

    kept = {host.name: host.prometheus for host in hosts if host.prometheus is not None}
    return LiveBackend(tuple(map(_info, hosts)), connect, time.time, kept)


def _info(host: Host) -> HostInfo:
    from .sources.message import HostInfo

    address = f"{host.user + '@' if host.user else ''}{host.address or host.name}{f':{host.port}' if host.port else ''}"
    return HostInfo(
        host.name,
        "this machine" if host.local else address,
        next(iter(host.groups), ""),
        host.production,
        host.read_only,
    )


if __name__ == "__main__":
    main()
