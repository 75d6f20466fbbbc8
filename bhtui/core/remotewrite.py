"""How remote write is: what was sent, what waits, what was lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteWriteStatus:
    """Counts are of samples, and begin anew when the agent does."""

    name: str
    """As the configuration has it."""
    target: str
    """The address it sends to."""
    state: str = "idle"
    """`idle` (nothing was sent yet), `ok`, `lagging` (what waits has waited for longer than warn_after) or `failing`
    (the last try did)."""
    sent: int = 0
    sent_bytes: int = 0
    """Of the bodies, compressed."""
    retried: int = 0
    """Sent more than once, because the other side could not be reached, or asked for patience."""
    dropped: int = 0
    """Given up before they were sent: the buffer or the disk was full."""
    rejected: int = 0
    """Refused for good by the other side."""
    behind_samples: int = 0
    """Taken and not yet sent."""
    behind_bytes: int = 0
    """The same on disk."""
    behind_seconds: float = 0.0
    """Age of the oldest that waits; 0: none does."""
    last_sent_ns: int = 0
    """When something was last accepted, Unix nanoseconds; 0: never."""
    last_error: str = ""
    last_error_ns: int = 0
    failing_since_ns: int = 0
    """Since when every try has failed; 0: the last one did not."""
