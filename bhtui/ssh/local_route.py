"""The way to this machine's own agent: its socket, without SSH. Imports gRPC and not asyncssh."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import bhtui

from ..core.errors import BlackholeError
from ..rpc import stopped
from ..rpc.blackhole.v1.agent_pb2 import AgentInfo
from ..rpc.client import AgentClient
from ..rpc.local import THIS, answers, boot, ensure_agent, local_paths
from ..rpc.stopped import Stopped, Wake
from .route import Say, Session, agent_stopped, await_version, info_of, must_upgrade
from .state import LinkError, LinkState


class LocalSession:
    """The local agent. Its socket does not end by itself: the link's heartbeat finds out."""

    def __init__(self, client: AgentClient, info: AgentInfo) -> None:
        self.client = client
        self.info = info
        self.note = ""

    async def lost(self) -> LinkError:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def stopped(self) -> Stopped | None:
        return stopped.read(local_paths().state)

    async def close(self) -> None:
        await self.client.close()


class LocalRoute:
    """Reaches the agent of this user on this machine."""

    async def open(self, say: Say, *, wake: Wake = Wake.UNLESS_STOPPED, force: bool = False) -> LocalSession:
        paths = local_paths()
        if not await asyncio.to_thread(answers, paths.agent_socket):
            mark = stopped.read(paths.state)
            if wake is Wake.NEVER or (mark and wake is Wake.UNLESS_STOPPED):
                raise agent_stopped(THIS, mark)
            say("starting the agent")
            try:
                await asyncio.to_thread(ensure_agent, paths, wake)
            except BlackholeError as error:
                raise LinkError(LinkState.FAILED, str(error)) from None
        client = AgentClient(paths.agent_socket)
        try:
            session = LocalSession(client, await info_of(client, THIS))
            if force or must_upgrade(THIS, session.info.version, bhtui.__version__):
                say("upgrading the agent")
                await client.upgrade("")
                session.info = await await_version(client, THIS, session.info)
        except LinkError:
            await client.close()
            raise
        except BlackholeError as error:
            await client.close()
            raise LinkError(LinkState.AGENT_TOO_OLD, f"cannot upgrade the agent of {THIS}: {error}") from None
        return session

    async def layer(self, session: Session, name: str, say: Say) -> None:
        say("")
        raise LinkError(
            LinkState.FAILED,
            f"cannot place what {name} needs on {THIS}: its {session.info.version} is an installation of its own",
            "install ripgrep there" if name == "search" else f"install blackhole-console[{name}] there",
        )

    async def boot(self, say: Say, words: Sequence[str]) -> str:
        say("asking what starts this machine")
        return await asyncio.to_thread(boot, words)
