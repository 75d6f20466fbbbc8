"""Makes the picture of the README from a real session: the console on live hosts, or on a recording of some.

    python snapshots/screenshot.py docs/screenshot.svg [--replay FILE] [--size 120x36] [--keys down,enter] [host ...]

Without hosts it shows this machine's agent, which `blackhole demo up` gives something to do.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from bhtui.console.app import Console
from bhtui.console.main import live_backend
from bhtui.console.options import Options
from bhtui.console.replaying import ReplayConsole
from bhtui.console.sources.replay import Replay
from bhtui.ssh.inventory import LOCAL, Host, parse_ad_hoc


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("hosts", nargs="*")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--size", default="120x36", help="columns x rows")
    parser.add_argument("--keys", default="", help="keys to press, with commas between")
    parser.add_argument("--wait", type=float, default=8.0, help="seconds to let it live before the picture")
    parser.add_argument("--theme", default="night")
    return parser


def _console(asked: argparse.Namespace) -> Console:
    options = Options(theme=asked.theme)
    if asked.replay:
        replay = Replay(asked.replay, time.monotonic)
        return ReplayConsole(replay, options)
    hosts = tuple(parse_ad_hoc(name) for name in asked.hosts) or (Host(LOCAL),)
    options.open_host = hosts[0].name if len(hosts) == 1 else ""
    return Console(live_backend(hosts), time.time, options)


async def picture(asked: argparse.Namespace) -> str:
    """The SVG of the screen after the keys and the wait."""
    columns, _, rows = asked.size.partition("x")
    app = _console(asked)
    async with app.run_test(size=(int(columns), int(rows))) as pilot:
        await pilot.pause(asked.wait / 2)
        for key in filter(None, asked.keys.split(",")):
            await pilot.press(key)
        await pilot.pause(asked.wait / 2)
        return app.export_screenshot(title="bhtui")


def main() -> None:
    asked = _parser().parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(asyncio.run(picture(asked)), encoding="utf-8")
    sys.stdout.write(f"wrote {asked.out}\n")


if __name__ == "__main__":
    main()
