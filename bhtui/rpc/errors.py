"""One table of the domain's errors and gRPC's status codes, both ways. Texts are carried whole.

The problems of a refused configuration travel beside the text, as a message in the trailers.
"""

from __future__ import annotations

import logging
from typing import NoReturn

import grpc
import grpc.aio

from bhtui.core.errors import BlackholeError, ConfigError, NoConnection, NotFound, Refused, UsageError

from .blackhole.v1 import config_pb2
from .convert.config import problem_from_message, validation_to_message

PROBLEMS = "blackhole-problems-bin"
"""Key of the trailer with a serialised ValidateResponse."""

STUCK = "`blackhole agent stop` ends it, and what it ran, if it stays so; its log is `agent.log` in the folder of logs"
"""What to do about an agent that does not answer."""

log = logging.getLogger(__name__)

Code = grpc.StatusCode

# Most particular first.
CODES: tuple[tuple[type[BlackholeError], grpc.StatusCode], ...] = (
    (UsageError, Code.INVALID_ARGUMENT),
    (NotFound, Code.NOT_FOUND),
    (NoConnection, Code.UNAVAILABLE),
    (Refused, Code.FAILED_PRECONDITION),
    (BlackholeError, Code.INTERNAL),
)

# Codes that gRPC itself or an older agent answers with.
ERRORS: dict[grpc.StatusCode, type[BlackholeError]] = {
    **{code: kind for kind, code in CODES},
    Code.PERMISSION_DENIED: Refused,
    Code.UNAUTHENTICATED: Refused,
    Code.RESOURCE_EXHAUSTED: Refused,
    Code.ABORTED: Refused,
    Code.OUT_OF_RANGE: UsageError,
    Code.DEADLINE_EXCEEDED: NoConnection,
    Code.CANCELLED: NoConnection,
}


def to_status(error: Exception) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]:
    """Status code, details and trailers for an error; what is not of the domain is said to be a fault of the agent."""
    for kind, code in CODES:
        if isinstance(error, kind):
            trailers = _problems(error) if isinstance(error, ConfigError) else ()
            return code, str(error), trailers
    text = f"cannot answer: the agent met an unexpected {type(error).__name__}: {error}; its log says where"
    return Code.UNKNOWN, text, ()


def _problems(error: ConfigError) -> tuple[tuple[str, str | bytes], ...]:
    return ((PROBLEMS, validation_to_message(error.problems, ()).SerializeToString()),)


async def abort(context: grpc.aio.ServicerContext[object, object], error: Exception) -> NoReturn:
    """Ends a call on the server with this error."""
    code, text, trailers = to_status(error)
    await context.abort(code, text, trailers)
    raise AssertionError("abort always raises")


def from_rpc(error: grpc.aio.AioRpcError) -> BlackholeError:
    """The domain's error for what a call raised."""
    code, details = error.code(), error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == PROBLEMS and isinstance(value, bytes):
            response = config_pb2.ValidateResponse.FromString(value)
            return ConfigError(tuple(map(problem_from_message, response.problems)))
    if code is Code.UNIMPLEMENTED:
        return BlackholeError("cannot ask this: the agent is older than this program; run `blackhole agent upgrade`")
    if code is Code.DEADLINE_EXCEEDED:
        return NoConnection(f"cannot get an answer in time: the agent is too slow or stuck; {STUCK}")
    if not details.startswith("cannot "):
        details = _foreign(code, details)
    return ERRORS.get(code, BlackholeError)(details)


def _foreign(code: grpc.StatusCode, details: str) -> str:
    """A text for what gRPC says in words of its own, which help nobody but are kept in the debugging log."""
    log.debug("gRPC said %s: %s", code.name, details)
    if code is Code.UNAVAILABLE and "connect" in details:
        return f"cannot reach the agent: it does not answer; {STUCK}"
    if code in (Code.UNAVAILABLE, Code.CANCELLED):
        return "cannot reach the agent: the connection was lost; run it again, `blackhole agent status` says what runs"
    if code is Code.RESOURCE_EXHAUSTED:
        return "cannot do this: the answer is too large, or too much is asked at once; ask for less"
    return f"cannot do this: the agent answered {code.name}; its log says more: `blackhole logs agent`"
