"""What the engine says when it cannot do something, as errors of ours: each with its exit code."""

from __future__ import annotations

from bhtui.core.errors import BlackholeError, NoConnection, NotFound, Refused


class WrongPassword(Refused):
    """None of the repository's keys opens with this password."""


class NoRepository(NotFound):
    """There is no repository at that place."""


class NoSuchSnapshot(NotFound):
    """The repository has no such snapshot, or file in it."""


class Locked(Refused):
    """Somebody else works in the repository; it may be free in a moment."""


class Unreachable(NoConnection):
    """The storage does not answer."""


class Damaged(BlackholeError):
    """The repository holds something that is not what it must be."""


class NoSpace(BlackholeError):
    """A disk is full."""


class Incapable(Refused):
    """This agent lacks the libraries that backups need."""


KINDS: dict[str, type[BlackholeError]] = {
    "wrong_password": WrongPassword,
    "no_repository": NoRepository,
    "not_found": NoSuchSnapshot,
    "locked": Locked,
    "unreachable": Unreachable,
    "damaged": Damaged,
    "no_space": NoSpace,
    "exists": Refused,
    "version": Refused,
    "refused": Refused,
    "permission": Refused,
}
"""Code of the engine: our error. What is not here (`vanished cancelled internal`) has failed, exit code 1."""


def failure(code: str, message: str) -> BlackholeError:
    """The error for what the engine's last line says."""
    return KINDS.get(code, BlackholeError)(message)
