"""`logging`: what the agent itself logs, when captured logs are rotated, and where they are sent besides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .fields import Section
from .outputs import AnyOutput, Rotate


class Logging(Section):
    """The section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of the agent's own log."""
    format: Literal["text", "json"] = "text"
    """Format of the agent's own log; `json`: an object a line, with `level`, `logger`, `message`, perhaps `error`."""
    rotate: Rotate = Rotate()
    """When captured logs are rotated; a service may have its own."""
    outputs: list[AnyOutput] = Field(default_factory=list)
    """Where lines are sent besides the files of each service, each at least once."""
