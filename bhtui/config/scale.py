"""`services.<name>.scale`: the number of instances follows their load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bhtui.core.autoscale import LONGEST_WINDOW, MOST_CPU, MOST_REPLICAS, AutoScaleSpec

from .fields import Duration, Section, Wait

_DEFAULT = AutoScaleSpec()
Replicas = Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
Window = Annotated[Wait, Field(ge=2, le=LONGEST_WINDOW)]


class Scale(Section):
    """The bounds and the thresholds; the defaults are those of core.AutoScaleSpec."""

    INSTEAD: ClassVar[dict[str, str]] = {
        "replicas": "write replicas beside scale",
        "cpu_threshold": "write cpu",
        "mem_threshold": "write memory",
        "memory_threshold": "write memory",
        "mem": "write memory",
        "cooldown": "write cooldown_up, cooldown_down or both",
    }

    auto: bool = True
    """Whether the number follows the load. `false`: only once `blackhole scale --auto` asks for it."""
    min: Replicas = _DEFAULT.min
    """Instances at the least."""
    max: Replicas = _DEFAULT.max
    """Instances at the most."""
    cpu: Annotated[float, Field(ge=0, le=MOST_CPU)] = 80.0
    """Per cent of `limits.cpu`, or of one core without it, above which more instances are started; 0: not looked at."""
    memory: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Per cent of `limits.memory`, likewise; 0: not looked at, since another instance seldom lowers it."""
    window: Window = _DEFAULT.window
    """Seconds over which the load is averaged."""
    cooldown_up: Wait = _DEFAULT.cooldown_up
    """Seconds from any change to the next one up at the least."""
    cooldown_down: Window = _DEFAULT.cooldown_down
    """Seconds without a change and with little load before one instance is stopped; then again for the next one."""
    warm_up: Duration = _DEFAULT.warm_up
    """Seconds after an instance is ready in which what it uses is not counted."""

    def spec(self) -> AutoScaleSpec:
        """As a frozen value."""
        return AutoScaleSpec(**dict(self) | {"cpu": self.cpu or None, "memory": self.memory or None})


def section(value: Any) -> Any:
    """A mapping; Compose's `scale: 3` is another thing. Raises ValueError."""
    if isinstance(value, Mapping) or value is None:
        return value
    raise ValueError("this must be a mapping like {min: 1, max: 5}; for a fixed number write replicas")
