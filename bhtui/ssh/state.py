"""What a link to a host can be doing, as it is shown; and the error that moves it there. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..core.errors import NoConnection


class LinkState(StrEnum):
    """Where the link to one host stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"  # connected, but nothing was heard for longer than a heartbeat
    RECONNECTING = "reconnecting"  # it was live before
    NO_ROUTE = "no-route"  # never reached: name, network, port, sshd
    AUTH_FAILED = "auth-failed"
    UNKNOWN_HOST_KEY = "unknown-host-key"
    HOST_KEY_CHANGED = "host-key-changed"
    PYTHON_TOO_OLD = "python-too-old"
    AGENT_TOO_OLD = "agent-too-old"  # of another major version than this console, older or newer
    AGENT_STOPPED = "agent-stopped"  # the host answers, its agent was stopped; it is not started behind anyone's back
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One host's link at one moment. Times are Unix seconds of the link's clock."""

    host: str
    state: LinkState
    since: float
    """When it entered this state; for `stale`, when it was last heard."""
    detail: str = ""
    """What is going on, or why it is not live: one line."""
    remedy: str = ""
    """What a person can do about it."""
    attempt: int = 0
    next_try: float = 0.0
    """When it will be tried again by itself; 0: it will not, or it needs not."""
    version: str = ""
    """The agent's, when live."""


class LinkError(NoConnection):
    """Why a host cannot be used: the state to show, one line of cause, one of remedy."""

    def __init__(self, state: LinkState, detail: str, remedy: str = "", *, retry: bool = False) -> None:
        super().__init__(f"{detail}; {remedy}" if remedy else detail)
        self.state = state
        self.detail = detail
        self.remedy = remedy
        self.retry = retry
        """Whether trying again by itself may help; a wrong key is not tried again until a person asks."""
        self.stopped_by = ""
        """For agent-stopped: the person who did it; empty: nobody did, there is just no agent."""
