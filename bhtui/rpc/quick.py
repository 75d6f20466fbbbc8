"""The quick road to the local agent: one line of JSON each way, nothing imported that costs a user time.

Importing gRPC takes longer than everything else `blackhole status` does; so the front door of the agent also answers
`{"quick": "status", "names": [...], "notes": true}` with `{"ok": {"instances": [...], "notes": [...]}}`, or with
`{"error": "...", "exit_code": 3}`. The instances are those of `convert.status.instance_to_json`, and the notes those of
the snapshot, the same that come by gRPC; without `notes` there is a list of instances. For the same reason this module
reads the environment by itself; a test holds it equal to `core.paths`.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

TIMEOUT = 10.0
"""Seconds to wait for the answer."""

LOOK = 0.5
"""Seconds between two looks at whether it is no use to wait."""


class QuickError(Exception):
    """The agent answered with an error; the text is for the user."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def socket_path(environ: Mapping[str, str], uid: int) -> str:
    """The local agent's socket, as `core.paths.resolve` would say; raises QuickError where that raises UsageError."""
    if base := environ.get("BLACKHOLE_HOME"):
        if not os.path.expanduser(base).startswith("/"):  # noqa: PTH111
            raise QuickError(
                f"cannot use BLACKHOLE_HOME={base}: it would be another folder wherever this is run; "
                "give its whole path, beginning with /",
                2,
            )
        return os.path.join(os.path.abspath(os.path.expanduser(base)), "run/agent.sock")  # noqa: PTH100, PTH111, PTH118
    if uid == 0:
        return "/run/blackhole/agent.sock"
    state = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111
    return state + "/blackhole/run/agent.sock"


def status(path: str, names: Sequence[str] = (), timeout: float = TIMEOUT) -> list[dict[str, Any]]:
    """As `status_with_notes`, without them."""
    return status_with_notes(path, names, timeout)[0]


def status_with_notes(
    path: str, names: Sequence[str] = (), timeout: float = TIMEOUT, is_hopeless: Callable[[], bool] | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """The instances of these services or instances (none: all), and what is wrong with the agent itself.

    Raises QuickError when the agent answers with an error, and OSError when it cannot be reached or does not answer
    in time (seconds, for each read). `is_hopeless` is asked while there is no answer; true: it is waited for no longer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(json.dumps({"quick": "status", "names": list(names), "notes": True}).encode() + b"\n")
        if is_hopeless is not None:
            _await(connection, timeout, is_hopeless)
        answer = _line(connection)
    if "error" in answer:
        raise QuickError(str(answer["error"]), int(answer.get("exit_code", 1)))
    found: Any = answer["ok"]
    if isinstance(found, list):  # an agent of a version before
        return found, []
    return found["instances"], found["notes"]


def _await(connection: socket.socket, timeout: float, is_hopeless: Callable[[], bool]) -> None:
    """Until there is something to read. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not select.select([connection], [], [], LOOK)[0]:
        if is_hopeless() or time.monotonic() > deadline:
            raise TimeoutError


def _line(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("rb") as reader:
        line = reader.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the agent hung up before it had answered")
    answer: dict[str, Any] = json.loads(line)
    return answer
