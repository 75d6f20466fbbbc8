"""`services.<name>.restart`: a word as in Compose, or a mapping with the delays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from bhtui.core.spec import Restart, RestartSpec

from .fields import Duration, Section, Wait

_DEFAULT = RestartSpec()
BESIDE = ("delay", "factor", "maximum", "jitter", "start_limit", "start_window", "reset_after")
"""Settings that may also stand beside `restart: WORD`, as `restart_delay` and so on."""


class RestartSection(Section):
    """The policy and its delays; the defaults are those of core.RestartSpec."""

    policy: Restart = Restart.ON_FAILURE
    """`no`: never; `on-failure`: when it ended badly; `always` and `unless-stopped`: whenever nobody stopped it."""
    delay: Wait = _DEFAULT.delay
    """Seconds before the first restart."""
    factor: Annotated[float, Field(ge=1, le=100)] = _DEFAULT.factor
    """By which each delay is longer than the one before."""
    maximum: Wait = _DEFAULT.maximum
    """Seconds that a delay takes at most."""
    jitter: Annotated[float, Field(ge=0, le=1)] = _DEFAULT.jitter
    """Part of the delay by which it varies either way, so that many do not start at once."""
    start_limit: Annotated[int, Field(ge=0)] = _DEFAULT.start_limit
    """Restarts within `start_window` after which the instance is failed; 0: it never gives up."""
    start_window: Wait = _DEFAULT.start_window
    """Seconds in which restarts are counted."""
    reset_after: Duration = _DEFAULT.reset_after
    """Seconds of running that set the delay back to the first."""

    def spec(self) -> RestartSpec:
        """As a frozen value."""
        return RestartSpec(**dict(self))


def from_word(value: Any) -> Any:
    """`always` as `{policy: always}`, and Compose's `on-failure:5` with its start limit."""
    if isinstance(value, Mapping) or value is None:
        return value
    policy, colon, limit = str(value).partition(":")
    if colon and policy == Restart.ON_FAILURE and limit.isdigit():
        return {"policy": policy, "start_limit": int(limit)}
    return {"policy": value}
