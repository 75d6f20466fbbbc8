"""Log outputs: where captured lines are sent besides the files of each service, and how far that has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output as declared."""

    name: str
    type: str
    """`file`, `syslog`, `elasticsearch`, `loki` or `journald`."""
    services: tuple[str, ...] = ()
    """Only these; none: every service, and the agent's own log."""
    exclude: tuple[str, ...] = ()
    level: str = ""
    """The lowest level sent; lines without a level are then left out. Empty: everything."""
    backlog: bool = False
    """Whether what was captured before the output was declared is sent too."""
    warn_after: float = 60.0
    """Seconds that it may fail or lag before an event says so."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The keys of its type as JSON values; secrets are only named there, by their file or variable."""

    def takes(self, service: str) -> bool:
        """Whether lines of this service are sent."""
        return (not self.services or service in self.services) and service not in self.exclude


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """How an output is. Counts are of lines, and begin anew when the agent does."""

    name: str
    type: str
    target: str
    """Where it sends to, for people."""
    state: str = "idle"
    """`idle` (nothing was sent yet), `ok`, `lagging` (what waits has waited for longer than warn_after) or `failing`
    (the last try did)."""
    sent: int = 0
    sent_bytes: int = 0
    """Of the lines themselves, without what a protocol adds."""
    retried: int = 0
    """Sent more than once: after an error, or because nothing said that they had arrived."""
    dropped: int = 0
    """Removed by rotation before they were sent, or rejected with no room for them in the dead-letter file."""
    dead_lettered: int = 0
    """Rejected for good by the other side, and kept in the dead-letter file."""
    behind_bytes: int = 0
    """In the files and not yet received."""
    behind_lines: int = 0
    """The same in lines, estimated by the length of those that were read."""
    behind_seconds: float = 0.0
    """Age of the oldest line that waits; 0: none does."""
    last_sent_ns: int = 0
    """When something was last accepted, Unix nanoseconds; 0: never."""
    last_error: str = ""
    last_error_ns: int = 0
    failing_since_ns: int = 0
    """Since when every try has failed; 0: the last one did not."""
