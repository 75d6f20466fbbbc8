"""The audit chain: the hash of each event covers the event and the hash of the one before.

    hash(n) = sha256(hash(n - 1) || canonical JSON of event n), hash(0) = 32 zero bytes

Canonical JSON has sorted keys, no spaces, and ASCII only. A changed, removed or inserted event breaks the chain from
there on. It does not stop somebody who may write the whole file from computing all later hashes anew; against that,
note a hash down elsewhere.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def canonical(value: Any) -> str:
    """The one text of a JSON value. Raises ValueError or TypeError for what JSON cannot say (NaN, sets)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def chain_hash(
    previous: bytes,
    seq: int,
    time_ns: int,
    kind: str,
    target: str,
    message: str,
    data: str,
    actor_name: str | None,
    actor_origin: str | None,
) -> bytes:
    """The hash of one event, from its columns as they are stored; `data` is JSON text."""
    actor = None if actor_name is None else {"name": actor_name, "origin": actor_origin or ""}
    event = {"seq": seq, "time_ns": time_ns, "kind": kind, "target": target, "message": message}
    text = canonical({**event, "data": json.loads(data), "actor": actor})
    return sha256(previous + text.encode()).digest()
