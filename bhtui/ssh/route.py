"""How an agent is reached, whatever the way; and which agents this console can work with. Imports no asyncssh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ..core.errors import BlackholeError, NoConnection
from ..rpc.blackhole.v1.agent_pb2 import AgentInfo
from ..rpc.client import AgentClient
from ..rpc.stopped import Stopped, Wake, start_command
from .state import LinkError, LinkState

Say = Callable[[str], None]
"""Told what is going on, one line, often."""

_ANSWER_TIMEOUT = 10.0
_UPGRADE_TIMEOUT = 30.0


class Session(Protocol):
    """An agent that answers."""

    client: AgentClient
    info: AgentInfo
    note: str
    """What a person should know although it works; empty: nothing."""

    async def lost(self) -> LinkError:
        """Returns when the connection has ended, with the reason."""
        ...

    async def stopped(self) -> Stopped | None:
        """Who stopped the agent, when it does not answer any more; None: nobody did."""
        ...

    async def close(self) -> None:
        """Ends it within a few seconds."""
        ...


class Route(Protocol):
    """How an agent is reached."""

    async def open(self, say: Say, *, wake: Wake = Wake.UNLESS_STOPPED, force: bool = False) -> Session:
        """Reaches the agent; `wake`: when one that is not there is placed and started; `force`: replaces another
        build of it by ours.

        Raises LinkError.
        """
        ...

    async def layer(self, session: Session, name: str, say: Say) -> None:
        """Places libraries that the agent lacks. Raises LinkError."""
        ...

    async def boot(self, say: Say, words: Sequence[str]) -> str:
        """Has `python -m bhtui.agent.boot` do something there; what it said. Raises LinkError, BlackholeError."""
        ...


def agent_stopped(host: str, mark: Stopped | None, command_host: str = "") -> LinkError:
    """There is no agent, and it is not for us to start it."""
    detail = mark.text(host, time.time_ns()) if mark else f"the agent of {host} does not run"
    error = LinkError(LinkState.AGENT_STOPPED, detail, f"start it with `{start_command(command_host)}`", retry=True)
    error.stopped_by = mark.by if mark else ""
    return error


def parse_version(text: str) -> tuple[int, ...]:
    """The numbers of `1.2.3`; what follows them is ignored."""
    numbers = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers) or (0,)


def must_upgrade(host: str, theirs: str, ours: str) -> bool:
    """Whether an agent of version `theirs` is to be replaced by ours; a newer one of the same major is used as it is.

    Raises LinkError for a newer one of another major version.
    """
    mine, its = parse_version(ours), parse_version(theirs)
    if its > mine and its[0] != mine[0]:
        raise LinkError(
            LinkState.AGENT_TOO_OLD,
            f"cannot talk to {host}: its agent is version {theirs}, this console {ours}",
            "upgrade this console",
        )
    return its < mine


async def info_of(client: AgentClient, host: str) -> AgentInfo:
    """Who answers. Raises LinkError."""
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            return await client.info()
    except (BlackholeError, TimeoutError) as error:
        why = str(error) or f"within {_ANSWER_TIMEOUT:g} s"
        raise LinkError(
            LinkState.RECONNECTING, f"the agent of {host} does not answer ({why})",
            "see agent.log in its log folder", retry=True,
        ) from None  # fmt: skip


async def await_version(client: AgentClient, host: str, old: AgentInfo) -> AgentInfo:
    """Waits until another process than `old` answers. Raises LinkError."""
    try:
        async with asyncio.timeout(_UPGRADE_TIMEOUT):
            while True:
                try:
                    info = await client.info()
                except NoConnection:
                    await asyncio.sleep(0.05)
                    continue
                if info.agent_pid != old.agent_pid or info.bundle != old.bundle:
                    return info
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise LinkError(
            LinkState.FAILED, f"the upgraded agent of {host} did not come back", "see agent.log in its log folder"
        ) from None
