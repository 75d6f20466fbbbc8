"""The API as the agent serves it: decode, ask the room or begin an operation, encode. One file per proto file."""

from .agent import Agent
from .backup import Backup
from .config import Config
from .events import Events
from .logs import Logs
from .maintenance import Maintenance
from .metrics import Metrics
from .operations import Operations
from .overview import Overview
from .resources import Resources
from .status import Status

__all__ = [
    "Agent",
    "Backup",
    "Config",
    "Events",
    "Logs",
    "Maintenance",
    "Metrics",
    "Operations",
    "Overview",
    "Resources",
    "Status",
]
