"""Every error a user can meet, and the exit code it carries.

    BlackholeError            1  failed, or something is unhealthy
    ├── UsageError            2  the command line or the configuration is wrong
    ├── NotFound              3  no such service, host, operation, backup ...
    ├── NoConnection          4  the host or its agent cannot be reached
    └── Refused               5  understood and not done: a conflict, a missing right, a state that forbids it

Texts begin with "cannot ..." in the user's words and end with what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class BlackholeError(Exception):
    """Something was tried and failed."""

    exit_code = 1


class UsageError(BlackholeError):
    """The request itself is wrong; nothing was tried."""

    exit_code = 2


class NotFound(BlackholeError):
    """What the request names does not exist."""

    exit_code = 3


class NoConnection(BlackholeError):
    """The other side cannot be reached."""

    exit_code = 4


class Refused(BlackholeError):
    """The request was understood and will not be carried out as things are."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file the user wrote. `line` and `column` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(UsageError):
    """A configuration was refused; carries every problem found, not the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def no_such_service(name: str, services: Iterable[str]) -> NotFound:
    """For a name that is no service (and no instance), with what is likely meant."""
    import difflib  # of all commands the one that is mistyped may be slow

    known = list(services)
    close = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {close[0]}?" if close else "known are: " + (", ".join(known) or "none")
    return NotFound(f"cannot find {name}: there is no such service; {meant}")
