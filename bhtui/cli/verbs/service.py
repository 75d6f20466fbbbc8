"""`blackhole service`: one service alone, in the foreground of this terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from bhtui.cli.app import Verb
from bhtui.cli.settings import Settings
from bhtui.core.errors import Refused
from bhtui.rpc import quick

ALIVE = ("starting", "running", "stopping", "backoff", "waiting")


@click.command(
    cls=Verb,
    help="Runs one service alone in the foreground, with its environment, folder, user and limits as declared. "
    "Its output comes to this terminal, Ctrl-C goes to it, its exit code is the answer. Nothing probes it or starts it "
    "again.",
    epilog="""
    blackhole service --name storage --debug
    blackhole service --name api --config ./trial.yaml
    """,
)
@click.option("--name", required=True, metavar="SERVICE", help="The service to run.")
@click.option("--debug", is_flag=True, help="With BLACKHOLE_DEBUG=1 and LOG_LEVEL=debug in its environment.")
@click.pass_obj
def command(settings: Settings, name: str, debug: bool) -> NoReturn:
    settings.only_here("run a service in the foreground")
    settings.must_not_be_read_only(f"run {name}")
    _refuse_if_running(settings, name)
    config = Path(settings.config).expanduser().absolute() if settings.config else settings.paths.config
    argv = [sys.executable, "-P", "-m", "bhtui.agent.foreground", str(config), name, *(["--debug"] if debug else [])]
    sys.stdout.flush()
    os.execv(sys.executable, argv)  # noqa: S606 - this process becomes the service, so that the terminal is its own


def _refuse_if_running(settings: Settings, name: str) -> None:
    """Two copies of one service would fight over its ports and data. Raises Refused."""
    try:
        instances = quick.status(str(settings.paths.agent_socket), [name])
    except (OSError, quick.QuickError):
        return  # no agent runs, or it does not know the service
    running = [each["instance"] for each in instances if each["state"] in ALIVE]
    if running:
        raise Refused(
            f"cannot run {name} here: the agent already runs {', '.join(running)}; run `blackhole stop {name}` first"
        )
