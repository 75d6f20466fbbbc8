"""The agent's side of the keeper: an asynchronous client that survives the death of the keeper it talks to."""

from bhtui.agent.keeper.client import Keeper
from bhtui.agent.keeper.model import (
    Exit,
    KeeperError,
    KeeperLost,
    KeptProcess,
    Killed,
    Launch,
    Listener,
    LogSpec,
    Replaced,
    SpawnRequest,
)

__all__ = [
    "Exit",
    "Keeper",
    "KeeperError",
    "KeeperLost",
    "KeptProcess",
    "Killed",
    "Launch",
    "Listener",
    "LogSpec",
    "Replaced",
    "SpawnRequest",
]
