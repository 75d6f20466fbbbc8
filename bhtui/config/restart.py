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
    delay: Wait = _DEFAULT.delay
    factor: Annotated[float, Field(ge=1, le=100)] = _DEFAULT.factor
    maximum: Wait = _DEFAULT.maximum
    jitter: Annotated[float, Field(ge=0, le=1)] = _DEFAULT.jitter
    start_limit: Annotated[int, Field(ge=0)] = _DEFAULT.start_limit
    start_window: Wait = _DEFAULT.start_window
    reset_after: Duration = _DEFAULT.reset_after

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
