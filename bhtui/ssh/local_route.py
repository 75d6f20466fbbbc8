"""The way to this machine's own agent: its socket, without SSH. Imports gRPC and not asyncssh."""

from __future__ import annotations

import asyncio

import bhtui

from ..core.errors import BlackholeError
from ..rpc.blackhole.v1.agent_pb2 import AgentInfo
from ..rpc.client import AgentClient
from ..rpc.local import answers, ensure_agent, local_paths
from .route import Say, await_version, info_of, must_upgrade
from .state import LinkError, LinkState

NAME = "this machine"


class LocalSession:
    """The local agent. Its socket does not end by itself: the link's heartbeat finds out."""

    def __init__(self, client: AgentClient, info: AgentInfo) -> None:
        self.client = client
        self.info = info
        self.note = ""

    async def lost(self) -> LinkError:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def close(self) -> None:
        await self.client.close()


class LocalRoute:
    """Reaches the agent of this user on this machine."""

    async def open(self, say: Say, *, start: bool = True, force: bool = False) -> LocalSession:
        paths = local_paths()
        if not await asyncio.to_thread(answers, paths.agent_socket):
            if not start:
                raise LinkError(
                    LinkState.AGENT_STOPPED,
                    f"the agent of {NAME} does not run",
                    "start it: blackhole start",
                    retry=True,
                )
            say("starting the agent")
            try:
                await asyncio.to_thread(ensure_agent, paths)
            except BlackholeError as error:
                raise LinkError(LinkState.FAILED, str(error)) from None
        client = AgentClient(paths.agent_socket)
        try:
            session = LocalSession(client, await info_of(client, NAME))
            if force or must_upgrade(NAME, session.info.version, bhtui.__version__):
                say("upgrading the agent")
                await client.upgrade("")
                session.info = await await_version(client, NAME, session.info)
        except LinkError:
            await client.close()
            raise
        except BlackholeError as error:
            await client.close()
            raise LinkError(LinkState.AGENT_TOO_OLD, f"cannot upgrade the agent of {NAME}: {error}") from None
        return session
