"""One container engine behind its socket: what can be asked of it, and every trouble in words.

Nothing is kept open between questions, so an engine that is restarted is simply there again. Which version of its
interface it speaks is asked once and after each trouble.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from bhtui.core.errors import BlackholeError, NoConnection, NotFound, Refused
from bhtui.core.spec import LimitsSpec

from . import http, limits, policy, troubles
from .container import Container, Summary, from_inspect, from_list
from .frames import BadFrame, Frames, Piece
from .sockets import DOCKER, PODMAN, Place

OLDEST_API = (1, 25)
"""Docker 1.13, of 2017: what we ask for is there since."""
LIBPOD = "v4.0.0/libpod"
"""Where Podman's own interface is; every version since serves it below this name."""
ASK_SECONDS = 10.0
STOP_MARGIN = 20.0
"""Seconds an engine may need beside the grace period of what it stops."""
MOST_EVENTS = 256
"""Of one container, the latest: so many Docker remembers."""
LINE_LIMIT = 1 << 20
"""Bytes of one event."""
Read = TypeVar("Read")
_TROUBLES = (OSError, TimeoutError, http.BadAnswer)


@dataclass(frozen=True, slots=True)
class Version:
    """Who answers at a socket."""

    engine: str
    """`docker`, `podman`: as it says itself, whatever its socket is called."""
    version: str
    api: tuple[int, int]


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something that happened to a container."""

    action: str
    """`start die stop kill oom destroy rename update ...`; `health_status: healthy`."""
    id: str
    name: str
    time_ns: int
    attributes: Mapping[str, str]


class Engine:
    """The engine at one place. Every method raises BlackholeError in words: NotFound, Refused, NoConnection."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._version: Version | None = None

    @property
    def name(self) -> str:
        """`docker`, `podman`."""
        return self._version.engine if self._version else self.place.engine

    # ---- questions -----------------------------------------------------------------------------------------------

    async def version(self) -> Version:
        """Who answers."""
        if self._version is None:
            answer = await self._send("GET", "/_ping", None, ASK_SECONDS)
            if answer.status != 200:
                raise troubles.refused(self.place.engine, f"reach {self.place.engine}", answer.status, answer.body)
            self._version = _version(self.place, answer.headers)
        return self._version

    async def list(self) -> list[Summary]:
        """Every container, also those that do not run."""
        said = await self._json("GET", "containers/json?all=1", "list the containers")
        return self._read(partial(from_list, self.name, said))

    async def inspect(self, name: str) -> Container:
        """One container, by its name (not by a part of its id)."""
        said = await self._json("GET", f"containers/{quote(name, safe='')}/json", f"find the container {name}")
        found = self._read(partial(from_inspect, said))
        if name not in (found.name, found.id):
            raise NotFound(
                f"cannot find the container {name}: {self.name} has none of that name; "
                f"it is the beginning of the id of {found.name}"
            )
        return found

    async def says_stopped(self, found: Container) -> bool:
        """Whether the engine itself says that somebody stopped it: newer Podmans do, Docker has only its events."""
        if (await self.version()).engine != PODMAN:
            return False
        answer = await self._send("GET", f"/{LIBPOD}/containers/{found.id}/json", None, ASK_SECONDS)
        said = self._read(partial(json.loads, answer.body)) if answer.status == 200 else {}
        return isinstance(said, dict) and bool((said.get("State") or {}).get("StoppedByUser"))

    async def happened(self, found: Container) -> builtins.list[EngineEvent]:
        """What happened to a container since its latest run began, as far back as the engine remembers."""
        asked = {
            "since": found.started_ns // 1_000_000_000,
            "filters": json.dumps({"type": ["container"], "container": [found.id]}),
        }
        if (await self.version()).engine == PODMAN:
            asked["stream"] = "false"
        else:
            asked["until"] = f"{time.time():.9f}"
        events: builtins.list[EngineEvent] = []
        async with (
            asyncio.timeout(ASK_SECONDS),
            self._flow(f"events?{urlencode(asked)}", f"see what happened to {found.name}") as pieces,
        ):
            async for event in _events(pieces):
                events.append(event)
                del events[:-MOST_EVENTS]
        return events

    # ---- changes -------------------------------------------------------------------------------------------------

    async def start(self, name: str) -> None:
        """Starts it, or lets it go on when it is paused. Nothing when it runs."""
        found = await self.inspect(name)
        verb = "unpause" if found.status == "paused" else "start"
        await self._do(f"containers/{quote(name, safe='')}/{verb}", f"start {name}", ASK_SECONDS + STOP_MARGIN)

    async def stop(self, name: str, grace: float | None) -> None:
        """Asks it to end, kills it after `grace` seconds; returns when it has ended. Nothing when it does not run.

        None: the time that it was created with.
        """
        seconds, timeout = await self._grace(name, grace)
        await self._do(f"containers/{quote(name, safe='')}/stop{seconds}", f"stop {name}", timeout)

    async def kill(self, name: str, signal: str = "SIGKILL") -> None:
        """Sends its first process a signal."""
        await self._do(f"containers/{quote(name, safe='')}/kill?signal={signal}", f"send {name} {signal}", ASK_SECONDS)

    async def restart(self, name: str, grace: float | None = None) -> None:
        """Stops and starts it in one go."""
        seconds, timeout = await self._grace(name, grace)
        target = f"containers/{quote(name, safe='')}/restart{seconds}"
        await self._do(target, f"restart {name}", timeout + ASK_SECONDS)

    async def _grace(self, name: str, grace: float | None) -> tuple[str, float]:
        """How the time to end is written, and how long the engine may take.

        What is paused is let go on: frozen processes hear no signal, and the whole time would be waited for nothing.
        """
        found = await self.inspect(name)
        if found.status == "paused":
            with contextlib.suppress(BlackholeError):  # somebody else has just done it; if not, the stop says why
                await self._do(f"containers/{quote(name, safe='')}/unpause", f"let {name} go on", ASK_SECONDS)
        if grace is None:
            return "", found.stop_timeout + STOP_MARGIN
        seconds = max(0, round(grace))
        return f"?t={seconds}", seconds + STOP_MARGIN

    async def update(self, found: Container, wanted: LimitsSpec, cpus: int, devices: Collection[str] = ()) -> None:
        """Sets its limits, frees it of those that are None. `cpus` is how many the host has.

        `devices`: `254:0`, those that limits on disks mean.
        """
        version, quoted, what = await self.version(), quote(found.id, safe=""), f"set the limits of {found.name}"
        if version.engine == PODMAN:
            target, body = f"/{LIBPOD}/containers/{quoted}/update", limits.for_podman(wanted, devices)
        else:
            target, body = f"/{_base(version)}/containers/{quoted}/update", limits.for_docker(wanted, found, cpus)
        if not body:
            return
        answer = await self._send("POST", target, json.dumps(body).encode(), ASK_SECONDS)
        if answer.status == 404 and not answer.body.startswith(b"{"):
            raise BlackholeError(f"cannot {what}: {self.name} {version.version} has no such call, 4.3 and newer have")
        if answer.status >= 300:
            raise troubles.refused(self.name, what, answer.status, answer.body)

    async def set_policy(self, found: Container, restart: str) -> None:
        """Another restart policy: `no`, `always`, `on-failure:5`."""
        version, quoted, what = await self.version(), quote(found.id, safe=""), f"hold the restarts of {found.name}"
        if restart != "no":
            what = f"give {found.name} its restart policy {restart} back"
        if version.engine == PODMAN:
            if why := policy.podman_cannot(version.version):
                raise Refused(f"cannot {what}: {why}")
            target, body = f"/{LIBPOD}/containers/{quoted}/update?{policy.query(restart)}", b"{}"
        else:
            target = f"/{_base(version)}/containers/{quoted}/update"
            body = json.dumps(policy.body(restart)).encode()
        answer = await self._send("POST", target, body, ASK_SECONDS)
        if answer.status >= 300:
            raise troubles.refused(self.name, what, answer.status, answer.body)

    # ---- streams -------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def logs(
        self, found: Container, since: int = 0, tail: int | None = None, *, follow: bool = False
    ) -> AsyncIterator[AsyncIterator[builtins.list[Piece]]]:
        """What it prints, oldest first, with the engine's own times, as it comes; with `follow` until it ends.

        `since`: Unix seconds, everything of that second included; `tail`: no more lines than these.
        """
        asked: dict[str, Any] = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow)}
        # Podman takes what is after that moment, Docker what is not before it: whoever reads on skips what he has.
        asked |= {"since": max(0, since - 1)} if since else {}
        asked |= {"tail": tail} if tail is not None else {}
        what = f"read the output of {found.name}"
        async with self._flow(f"containers/{found.id}/logs?{urlencode(asked)}", what) as pieces:
            yield _log_pieces(Frames(found.tty), pieces, since * 1_000_000_000)

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """What happens to containers from now on, for as long as the engine lives."""
        filters = urlencode({"filters": json.dumps({"type": ["container"]})})
        async with self._flow(f"events?{filters}", "watch the containers") as pieces:
            yield _events(pieces)

    @contextlib.asynccontextmanager
    async def _flow(self, target: str, what: str) -> AsyncIterator[AsyncIterator[bytes]]:
        version = await self.version()
        try:
            async with http.flow(self.place.path, "GET", f"/{_base(version)}/{target}") as answer:
                if answer.status != 200:
                    raise troubles.refused(self.name, what, answer.status, await _short(answer.pieces))
                yield answer.pieces
        except BadFrame as error:
            raise BlackholeError(f"cannot {what}: {error}") from error
        except _TROUBLES as error:
            self._version = None
            raise troubles.unreachable(self.place, error) from error

    # ---- the wire ------------------------------------------------------------------------------------------------

    async def _do(self, target: str, what: str, timeout: float) -> None:
        """304: it is so already."""
        version = await self.version()
        answer = await self._send("POST", f"/{_base(version)}/{target}", None, timeout)
        if answer.status >= 300 and answer.status != 304:
            raise troubles.refused(self.name, what, answer.status, answer.body)

    async def _json(self, method: str, target: str, what: str) -> Any:
        version = await self.version()
        answer = await self._send(method, f"/{_base(version)}/{target}", None, ASK_SECONDS)
        if answer.status != 200:
            raise troubles.refused(self.name, what, answer.status, answer.body)
        return self._read(partial(json.loads, answer.body))

    async def _send(self, method: str, target: str, body: bytes | None, timeout: float) -> http.Answer:
        try:
            return await http.ask(self.place.path, method, target, body, timeout)
        except _TROUBLES as error:
            self._version = None
            raise troubles.unreachable(self.place, error) from error

    def _read(self, reader: Callable[[], Read]) -> Read:
        try:
            return reader()
        except ValueError as error:
            raise NoConnection(f"cannot understand {self.name} at {self.place.path}: {error}") from error


def _version(place: Place, headers: Mapping[str, str]) -> Version:
    """From the head of an answer to `_ping`."""
    server = headers.get("server", "")
    engine = PODMAN if "libpod-api-version" in headers or server.startswith("Libpod") else DOCKER
    match = re.fullmatch(r"(\d+)\.(\d+)", headers.get("api-version", ""))
    if match is None:
        raise NoConnection(f"cannot reach {place.engine} at {place.path}: what answers there is no container engine")
    api = int(match[1]), int(match[2])
    if api < OLDEST_API:
        raise NoConnection(
            f"cannot reach {place.engine} at {place.path}: it speaks version {match[0]} of the Docker API, "
            f"{OLDEST_API[0]}.{OLDEST_API[1]} is the oldest we know; Docker 17 or newer is needed"
        )
    number = headers.get("libpod-api-version") or server.partition("/")[2].partition(" ")[0]
    return Version(engine, number, api)


def _base(version: Version) -> str:
    """The engine's own version is asked for: what we read is the same in all, and new ones refuse old ones."""
    return f"v{version.api[0]}.{version.api[1]}"


async def _short(pieces: AsyncIterator[bytes]) -> bytes:
    async for piece in pieces:
        return piece
    return b""


async def _log_pieces(
    frames: Frames, pieces: AsyncIterator[bytes], since_ns: int
) -> AsyncIterator[builtins.list[Piece]]:
    async for data in pieces:
        if found := [piece for piece in frames.feed(data) if piece.time_ns >= since_ns]:
            yield found


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[EngineEvent]:
    """JSON objects one after the other; in some versions of Docker without a newline between them."""
    decoder, rest = json.JSONDecoder(), ""
    async for data in pieces:
        rest += data.decode(errors="replace")
        while rest := rest.lstrip():
            try:
                said, end = decoder.raw_decode(rest)
            except ValueError:
                if len(rest) > LINE_LIMIT:
                    raise http.BadAnswer("an event of it has no end") from None
                break
            rest = rest[end:]
            if isinstance(said, dict) and (event := _event(said)) is not None:
                yield event


def _event(said: Mapping[str, Any]) -> EngineEvent | None:
    actor = said.get("Actor") or {}
    attributes = {str(key): str(value) for key, value in (actor.get("Attributes") or {}).items()}
    id_ = actor.get("ID") or said.get("id") or ""
    action = said.get("Action") or said.get("status") or ""
    if not id_ or not action:
        return None
    return EngineEvent(action, id_, attributes.get("name", ""), int(said.get("timeNano") or 0), attributes)
