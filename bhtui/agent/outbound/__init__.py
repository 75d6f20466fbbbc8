"""How the agent speaks to servers elsewhere: HTTP over one connection, TLS, secrets from files, and when to try again.

Used by what sends (log outputs, remote write) in threads or processes of their own: every call here waits.
"""

from __future__ import annotations


class Down(Exception):
    """The other side cannot be reached or cannot take anything now; the same is sent again later."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after
        """Seconds the other side asked for; 0: it did not."""
