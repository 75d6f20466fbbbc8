"""The life of one agent, from the first file opened to the last one closed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import AsyncExitStack

import bhtui
from bhtui.agent.ending import Ending
from bhtui.core.event import EventKind
from bhtui.core.paths import Paths

from .assemble import assemble

log = logging.getLogger(__name__)


async def run(paths: Paths) -> None:
    """Until somebody ends it. Raises BlackholeError when it cannot begin."""
    begun = time.monotonic()
    ending = Ending()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ending.tell, signal.Signals(number).name)
    async with AsyncExitStack() as stack:
        agent = await assemble(paths, ending, stack, begun)
        events = agent.memory.events
        events.append(EventKind.AGENT_STARTED, message=f"agent {bhtui.__version__} runs, process {os.getpid()}")
        log.info("the agent runs after %.0f ms", (time.monotonic() - begun) * 1000)
        await ending.wait()
        log.info("the agent ends: %s", ending.why)
        events.append(EventKind.AGENT_STOPPED, message=f"the agent ends: {ending.why}")
        if ending.services or ending.alone:
            await agent.ours.supervisor.give_back()
        if ending.services:
            await agent.stop_services("the agent is being stopped")
            # The keeper ends this process too, but only after it has answered.
            stack.push_async_callback(agent.end_keeper)
        elif ending.alone:
            stack.push_async_callback(agent.stay_down)
