"""Key files: the repository's secret, sealed by a password through scrypt.

Plain JSON, named by its SHA-256. (Design, "Keys, Encryption and MAC")
"""

from __future__ import annotations

import base64
import binascii
import getpass
import json
import os
import socket
from dataclasses import dataclass
from typing import Any

from . import derivation, gotime
from .crypto import Key, KeyMaterial, Unauthentic
from .derivation import Cost
from .errors import damaged

N, R, P = 1 << 15, 8, 1
"""The cost of a guess: 32 MiB and about 0.1 s. What stock restic takes at the least."""
SALT = 64


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What a key file says of itself without the password."""

    id: str
    time_ns: int
    username: str
    hostname: str


def make(password: str, material: KeyMaterial, now_ns: int) -> bytes:
    """A key file that opens with this password."""
    cost = Cost(os.urandom(SALT), N, R, P)
    secret = json.dumps(
        {"mac": {"k": _b64(material.mac_k), "r": _b64(material.mac_r)}, "encrypt": _b64(material.encrypt)}
    ).encode()
    return json.dumps(
        {
            "created": gotime.text(now_ns),
            "username": username(),
            "hostname": socket.gethostname(),
            "kdf": "scrypt",
            "N": N,
            "r": R,
            "p": P,
            "salt": _b64(cost.salt),
            "data": _b64(_derived(password, cost).seal(secret)),
        }
    ).encode()


def unlock(name: str, raw: bytes, password: str) -> KeyMaterial | None:
    """The repository's secret; None when the password is not this key's. Raises EngineError for a damaged file."""
    what = f"the key {name[:8]}"
    try:
        said = json.loads(raw)
        secret = json.loads(_derived(password, Cost.of(said)).open(_raw(said["data"])))
        return KeyMaterial(_raw(secret["encrypt"]), _raw(secret["mac"]["k"]), _raw(secret["mac"]["r"]))
    except Unauthentic:
        return None
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise damaged(what, f"it cannot be used ({error})") from error


def info(name: str, raw: bytes) -> KeyInfo:
    """Who made this key, and when. Raises EngineError for a damaged file."""
    try:
        said: dict[str, Any] = json.loads(raw)
        return KeyInfo(name, gotime.parse(said["created"]), said.get("username", ""), said.get("hostname", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(f"the key {name[:8]}", f"it is not a key file ({error})") from error


def username() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        return str(os.getuid())


def _derived(password: str, cost: Cost) -> Key:
    made = derivation.derived(password, cost)
    return Key(KeyMaterial(made[:32], made[32:48], made[48:]))


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
