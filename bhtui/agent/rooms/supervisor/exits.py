"""How a process ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from bhtui.core.states import Result
from bhtui.core.units import signal_name


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one process; neither code nor signal: nobody could see it."""

    incarnation: int
    code: int | None = None
    signal: int | None = None
    oom: bool = False
    """Whether the kernel killed it, or a process of its cgroup, for want of memory."""
    tail: tuple[str, ...] = ()
    """The last lines of its log."""
    time_ns: int = 0
    """When it ended, if that is known."""
    lived: float | None = None
    """Seconds from its start to its end, to a hundredth, if that is known; no matter how the clock was set."""

    @property
    def result(self) -> Result:
        if self.oom:
            return Result.OOM_KILL
        if self.signal is not None:
            return Result.SIGNAL
        if self.code is None:
            return Result.UNKNOWN
        return Result.EXIT_CODE if self.code else Result.SUCCESS

    @property
    def text(self) -> str:
        """`exit 1`, `killed by SIGSEGV`, ..."""
        if self.signal is not None:
            name = signal_name(self.signal)
            return f"killed by {name}" + (": out of memory" if self.oom else "")
        if self.code is None:
            return "ended unseen, with an unknown exit status"
        return f"exit {self.code}" + (" (out of memory)" if self.oom else "")

    def is_end_by(self, name: str) -> bool:
        """Whether it ended as one asked by the signal `name` may end."""
        return self.code is not None or (self.signal is not None and signal_name(self.signal) == name)


def signal_number(name: str) -> int:
    """15 for `SIGTERM`, `TERM` or `15`. Raises ValueError."""
    if name.isdigit():
        return int(signal.Signals(int(name)))
    try:
        return int(signal.Signals["SIG" + name.upper().removeprefix("SIG")])
    except KeyError:
        raise ValueError(f"{name!r} is not a signal") from None
