"""`logging`: what the agent itself logs, when captured logs are rotated, and where they are sent besides."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from bhtui.core.spec import RateSpec

from .fields import Duration, Section, Size
from .outputs import AnyOutput, Rotate


class RateLimit(Section):
    """How much of the output of each instance is kept: what comes first in each stretch of time; the rest is dropped,
    counted and told of."""

    INSTEAD: ClassVar[dict[str, str]] = {
        "burst": "write lines: 10000, per: 30s; so many are kept in each such time, also at once",
        "interval": "write per: 30s",
    }

    lines: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """Lines that are kept in each `per`. 0: no bound, also where `logging.rate_limit` has one."""
    bytes: Annotated[Size, Field(ge=0)] = 0
    """Bytes that are kept in each `per`, passed by at most one line. 0: no bound."""
    per: Annotated[Duration, Field(ge=0.1, le=86_400)] = RateSpec().per
    """Seconds of a stretch of time; a new one begins with the first line after it."""

    @model_validator(mode="after")
    def _bounds_something(self) -> RateLimit:
        if not {"lines", "bytes"} & self.model_fields_set:
            raise ValueError("this bounds nothing; write lines: 10000 or bytes: 10MB, or lines: 0 for no limit")
        return self

    def spec(self) -> RateSpec:
        """As a frozen value."""
        return RateSpec(**dict(self)) if self.lines or self.bytes else RateSpec()


class Logging(Section):
    """The section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of the agent's own log."""
    format: Literal["text", "json"] = "text"
    """Format of the agent's own log; `json`: an object a line, with `level`, `logger`, `message`, perhaps `error`."""
    rotate: Rotate = Rotate()
    """When captured logs are rotated; a service may have its own."""
    rate_limit: RateLimit | None = None
    """How much is kept of what each instance writes, in a stretch of time; a service may have its own. None: all."""
    outputs: list[AnyOutput] = Field(default_factory=list)
    """Where lines are sent besides the files of each service, each at least once."""
