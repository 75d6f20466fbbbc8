"""What a manager of the host offers for each unit or container that is declared as a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from bhtui.core.spec import LimitsSpec, RateSpec, RotateSpec, ServiceSpec
from bhtui.core.states import Health, Result, State


@dataclass(frozen=True, slots=True)
class Observation:
    """What the manager says at one moment. Times are Unix nanoseconds, 0: not known."""

    state: State | None = None
    """`stopped starting running stopping backoff failed`; None: the manager cannot be asked, and `text` says why."""
    run: str = ""
    """Names the present or latest run: another text is another run. Empty: it has not run since the host was started.
    """
    pid: int | None = None
    """Its main process, or another of its processes where there is no main one."""
    since_ns: int = 0
    """When its present run began."""
    next_start_ns: int = 0
    """In `backoff`: when the manager starts it again."""
    restarts: int = 0
    """How often the manager has started it again by itself."""
    result: Result = Result.NONE
    """How its latest run ended; while it runs, NONE."""
    text: str = ""
    """The same in words, `exit 1`, `killed by SIGKILL: out of memory`; or what hinders it: that there is no such unit.
    """
    was_asked: bool = False
    """It is stopped because somebody asked for that, and did not end by itself."""
    cgroup: str = ""
    """Its control group, `/system.slice/nginx.service`; empty where it has none that can be read."""
    health: Health | None = None
    """What the manager's own health check says; None: it has none."""
    health_detail: str = ""
    would_restart: bool = False
    """It ended so that its manager would have started it again, were its restarts not held."""


NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Hold:
    """Where limits are held, and what is to be put back when they are lifted."""

    held_by: str = ""
    """`systemd unit properties`, `docker`, `podman`; empty: nothing was to be held."""
    not_held: Mapping[str, str] = field(default_factory=dict)
    """Each limit that is not held, and why."""
    refused: tuple[str, ...] = ()
    """Those of them that could be held, had the manager taken the value."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """JSON values of the manager's own: what it had before the first limit was set here."""


class Subject(Protocol):
    """One unit or container. Every method ends within a time of its own, and raises BlackholeError in words for people.

    Whatever is asked may be asked again: after a crash of the agent it is.
    """

    async def observe(self, restarts: Mapping[str, Any] = NOTHING) -> Observation:
        """How it is now. Does not raise: that the manager cannot be asked is an observation too.

        `restarts`: when it would be started again, were that not held.
        """

    async def start(self) -> None:
        """Returns when the manager has done what it can; how it went is then observed.

        Raises BlackholeError when the manager refuses: no such unit, masked, not allowed, a dependency that failed.
        """

    async def stop(self, grace: float | None) -> None:
        """As `start`. `grace` in seconds, then it is killed; 0: killed at once; None: as its manager has it."""

    async def restart(self) -> None:
        """As `start`, in one go: what hangs on it in its manager is restarted with it."""

    async def signal(self, number: int) -> None:
        """Sends its main process a signal."""

    async def hold(self, limits: LimitsSpec, paths: Sequence[str], before: Mapping[str, Any]) -> Hold:
        """Holds it to these limits, now and in later runs. What was set here before and is None now is put back.

        `paths` are on the disks that limits on disks mean; `before` is that of the Hold before, empty: there was none.
        """

    async def restarts(self) -> Mapping[str, Any]:
        """When the manager starts it again by itself, as JSON values of the manager's own; empty: never."""

    async def hold_restarts(self) -> None:
        """The manager starts it again by itself no more; what runs is not touched. Raises BlackholeError: it cannot."""

    async def let_restarts(self, restarts: Mapping[str, Any]) -> None:
        """The manager starts it again as before; nothing when that was never held. Raises BlackholeError."""

    async def tail(self, count: int) -> tuple[str, ...]:
        """The last lines it wrote in its latest run, oldest first; () when they cannot be had."""

    def capture(self, path: Path, rotate: RotateSpec, rate: RateSpec) -> None:
        """Writes what it prints to the log file of its instance from now on, in the format of all logs.

        It goes on where an earlier agent was: no line is lost, none is written twice. Problems are told in the log.
        What is over the rate limit is dropped, counted and told there. Called again when one of the two is another.
        """

    async def close(self) -> None:
        """Lets go of it; it runs on."""


class Manager(Protocol):
    """systemd, or a container engine. Connects when the first subject is asked for something, and again when needed."""

    def subject(self, spec: ServiceSpec, changed: Callable[[], None]) -> Subject:
        """What the service stands for. `changed` is called whenever it may be otherwise than it was observed."""

    async def close(self) -> None:
        """Lets go of everything."""
