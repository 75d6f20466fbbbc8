"""The one error of the engine, with the word by which its caller tells the cases apart."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "wrong_password", "no_repository", "exists", "version", "locked", "damaged", "not_found", "no_space",
    "unreachable", "refused", "permission", "vanished", "cancelled", "internal",
]  # fmt: skip


class EngineError(Exception):
    """Something about a repository could not be done. The text says what, why, and what to do next."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code


def damaged(what: str, why: str) -> EngineError:
    """The repository holds something that is not what it must be."""
    return EngineError(
        "damaged", f"cannot read {what}: {why}; `blackhole backup repo check --read-data` says what it hurts"
    )
