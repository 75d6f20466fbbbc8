"""Ending this machine's agent, with or without its services, and waiting until it is gone."""

from __future__ import annotations

import asyncio
import logging
import time

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.core.paths import Paths
from bhtui.keeper import force
from bhtui.keeper.client import KeeperError, NoKeeper
from bhtui.keeper.client import shutdown as end_keeper
from bhtui.rpc import stopped
from bhtui.rpc.client import AgentClient, this_actor
from bhtui.rpc.local import answers, anything_runs, keeper_answers

log = logging.getLogger(__name__)

GONE_TIMEOUT = 120.0
"""Seconds for agent and keeper to end once the services have; a stuck agent is given its grace by the keeper too."""


async def halt(paths: Paths, keep_services: bool) -> bool:
    """Ends it and returns when it has ended; whether there was anything to end. Raises BlackholeError.

    When the agent does not run or answer, the keeper is told to end what is left.
    """
    if not anything_runs(paths):
        return False
    agent = answers(paths.agent_socket)
    if keep_services and not (agent or force.agents(paths.run)):
        return False
    try:
        if not agent:
            raise NoConnection("cannot reach the agent: it does not run")
        if not keep_services and await asyncio.to_thread(force.is_stuck, paths.run):
            raise NoConnection("cannot stop in order: the keeper does not answer")
        await _ask(paths, keep_services)
    except NoConnection:
        if keep_services:
            raise
        await asyncio.to_thread(_by_the_keeper, paths)
    await _gone(paths, keep_services)
    return True


async def _ask(paths: Paths, keep_services: bool) -> None:
    """Raises NoConnection when the agent is stuck."""
    async with AgentClient(paths.agent_socket) as client:
        await client.info()
        try:
            await client.shutdown(keep_services)
        except NoConnection as error:
            log.debug("the agent ended before its answer was read: %s", error)


def _by_the_keeper(paths: Paths) -> None:
    try:
        stopped.write(paths.state, this_actor().name, time.time_ns())
        if force.is_stuck(paths.run) or not keeper_answers(paths):
            force.end_agents(paths.run)  # first, or it would start another keeper
            force.end_everything(paths.run, hold=False)
            return
        end_keeper(paths.run, force=True)
    except NoKeeper:
        return  # it ended meanwhile, which is what was wanted
    except OSError as error:
        raise BlackholeError(f"cannot write {error.filename}: {error.strerror}; make it writable") from None
    except KeeperError as error:
        raise BlackholeError(f"{error}; end its processes by hand, `ps` shows them") from None


async def _gone(paths: Paths, keep_services: bool) -> None:
    deadline = time.monotonic() + GONE_TIMEOUT
    while answers(paths.agent_socket) or (not keep_services and keeper_answers(paths)):
        if time.monotonic() > deadline:
            raise BlackholeError(
                f"cannot end the agent: it still runs after {GONE_TIMEOUT:.0f} s; "
                f"`blackhole status` shows what holds it up, `blackhole stop --emergency` kills that"
            )
        await asyncio.sleep(0.02)
