"""Stands in for the agent on a host until a test is about the agent: answers Info, Upgrade and Shutdown, nothing else.

Upgrade executes the bundle that is named in its own place, as far as the one who asks can tell.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import grpc.aio

import bhtui
from bhtui.core.paths import resolve
from bhtui.rpc.blackhole.v1 import agent_pb2 as pb
from bhtui.rpc.blackhole.v1.agent_pb2_grpc import AgentServicer, add_AgentServicer_to_server

HERE = Path(bhtui.__file__).parents[1]


class Fake(AgentServicer):
    def __init__(self) -> None:
        self.begun = time.monotonic()

    async def Info(self, request, context):
        return pb.AgentInfo(
            agent_pid=os.getpid(),
            keeper_pid=os.getppid(),
            version=bhtui.__version__,
            bundle=HERE.name if len(HERE.name) == 64 else "",
            uptime_seconds=time.monotonic() - self.begun,
        )

    async def Upgrade(self, request, context):
        environ = {**os.environ, "PYTHONPATH": request.bundle_dir}
        argv = [sys.executable, "-m", "bhtui.agent"]
        asyncio.get_running_loop().call_later(0.1, os.execve, sys.executable, argv, environ)
        return pb.UpgradeResponse(version="soon")

    async def Shutdown(self, request, context):
        asyncio.get_running_loop().call_later(0.1, end)
        return pb.ShutdownResponse()


def end() -> None:
    """The keeper first, or it would start another."""
    os.kill(os.getppid(), signal.SIGKILL)
    os._exit(0)


async def main() -> None:
    paths = resolve(os.environ, os.getuid(), Path.home())
    paths.agent_socket.unlink(missing_ok=True)
    server = grpc.aio.server()
    add_AgentServicer_to_server(Fake(), server)
    server.add_insecure_port(f"unix:{paths.agent_socket}")
    await server.start()
    await server.wait_for_termination()


asyncio.run(main())
