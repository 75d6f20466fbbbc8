"""What the agent remembers by: before the rooms, which are made of it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from bhtui.agent import ownlog
from bhtui.agent.config import ConfigInForce
from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store
from bhtui.agent.upkeep import upkeep
from bhtui.core.paths import Paths

from .task import task


@dataclass(frozen=True, slots=True)
class Memory:
    """The database, what was observed, and the configuration in force."""

    store: Store
    events: EventLog
    config: ConfigInForce


async def remember(paths: Paths, stack: AsyncExitStack) -> Memory:
    """First, so that everything after it can remember and tell. Raises BlackholeError."""
    store = Store(paths.database)
    stack.callback(store.close)
    events = EventLog(store)
    await stack.enter_async_context(task(upkeep(store, events), "upkeep"))
    config = ConfigInForce(store, events, paths.config)
    ownlog.follow(config.load())
    config.adopted.append(ownlog.follow)
    return Memory(store, events, config)
