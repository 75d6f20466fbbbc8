"""From a password to a key by scrypt, which is slow on purpose: as slow as all imports of the engine together.

So it can be begun ahead, in a thread that needs Python for nothing, while the rest is imported. (scrypt: RFC 7914)
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from contextlib import suppress
from typing import Any, NamedTuple

MAX_COST = 1 << 30
"""Memory in bytes beyond which a key file is taken for an attack and not tried."""
LENGTH = 64
"""Bytes that are derived."""


class Cost(NamedTuple):
    """What a guess costs."""

    salt: bytes
    cost: int
    block: int
    lanes: int

    @classmethod
    def of(cls, said: dict[str, Any]) -> Cost:
        """As a key file says it. Raises ValueError, KeyError, TypeError."""
        found = cls(base64.b64decode(said["salt"], validate=True), int(said["N"]), int(said["r"]), int(said["p"]))
        if said["kdf"] != "scrypt" or 128 * found.cost * found.block * max(found.lanes, 1) > MAX_COST:
            raise ValueError(
                f"its key derivation {said['kdf']!r} with N={found.cost} r={found.block} p={found.lanes} "
                "is not accepted"
            )
        return found


_begun: dict[tuple[str, Cost], _Ahead] = {}


class _Ahead(threading.Thread):
    def __init__(self, password: str, cost: Cost) -> None:
        super().__init__(name="derivation", daemon=True)
        self._password, self._cost = password, cost
        self.made = b""

    def run(self) -> None:
        with suppress(ValueError, OverflowError, MemoryError):  # which come again, where they are told
            self.made = _scrypt(self._password, self._cost)


def begin(folder: str, password: str) -> None:
    """Begins with the first key of a repository on this host. What is wrong there, its opening will say."""
    try:
        keys = os.path.join(folder, "keys")
        with open(os.path.join(keys, min(os.listdir(keys))), "rb") as file:
            cost = Cost.of(json.load(file))
    except (OSError, ValueError, KeyError, TypeError):
        return
    _begun[password, cost] = ahead = _Ahead(password, cost)
    ahead.start()


def derived(password: str, cost: Cost) -> bytes:
    """`LENGTH` bytes. Raises ValueError."""
    ahead = _begun.pop((password, cost), None)
    if ahead is not None:
        ahead.join()
    return (ahead.made if ahead else b"") or _scrypt(password, cost)


def _scrypt(password: str, cost: Cost) -> bytes:
    memory = 128 * cost.block * (cost.cost + cost.lanes + 2) + (1 << 20)
    return hashlib.scrypt(
        password.encode(), salt=cost.salt, n=cost.cost, r=cost.block, p=cost.lanes, maxmem=memory, dklen=LENGTH
    )
