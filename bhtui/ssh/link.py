"""The link to one host: connects, notices silence, connects again, and tells everyone who watches.

It knows no SSH: a Route reaches the agent. One task owns everything; what is published is a whole LinkStatus each time.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

from ..core.errors import BlackholeError, NoConnection
from ..rpc.client import AgentClient
from ..rpc.stopped import Wake
from .route import Route, Session, agent_stopped
from .state import LinkError, LinkState, LinkStatus

log = logging.getLogger(__name__)

BEAT = 1.0
"""Seconds between the questions that show that an agent still answers."""
BEAT_TIMEOUT = 1.5
"""Seconds without an answer after which the link is stale."""
GIVE_UP = 6.0
"""Seconds of silence after which a connection is given up, although SSH still holds it."""
FIRST_DELAY = 0.5
MAXIMUM_DELAY = 30.0

_CONNECTED = frozenset({LinkState.LIVE, LinkState.STALE})


def backoff(attempt: int, chance: float) -> float:
    """Seconds before the next attempt: doubling, at most 30, a quarter of it by chance (0 to 1) either way."""
    delay = min(FIRST_DELAY * 2.0 ** min(attempt - 1, 16), MAXIMUM_DELAY / 1.25)
    return delay * (0.75 + 0.5 * chance)


class Link:
    """One host's link. `start()` once, `close()` once; everything between happens by itself."""

    def __init__(
        self,
        name: str,
        route: Route,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        beat: float = BEAT,
        wake: Wake = Wake.UNLESS_STOPPED,
        force: bool = False,
    ) -> None:
        """`wake` and `force`: as for Route.open, until it was live once; a lost agent is never started by itself."""
        self.name = name
        self.route = route
        self._clock = clock
        self._chance = chance
        self._beat = beat
        self._status = LinkStatus(name, LinkState.CONNECTING, clock())
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._session: Session | None = None
        self._failure: LinkError | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = wake
        self._force = force
        self._connections = 0
        self._placing = asyncio.Lock()

    @property
    def status(self) -> LinkStatus:
        return self._status

    @property
    def client(self) -> AgentClient | None:
        """The agent's client while it is connected."""
        return self._session.client if self._session else None

    def start(self) -> None:
        """Begins to connect."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"link {self.name}")

    def retry_now(self, wake: Wake = Wake.UNLESS_STOPPED) -> None:
        """Tries at once, whatever it waits for."""
        self._wake = wake
        self._hurry.set()

    async def watch(self) -> AsyncIterator[LinkStatus]:
        """The status now and after every change; a slow reader misses what was overtaken. Ends with `closed`."""
        seen: LinkStatus | None = None
        while True:
            changed = self._changed
            if self._status is not seen:
                seen = self._status
                yield seen
                if seen.state is LinkState.CLOSED:
                    return
            else:
                await changed.wait()

    async def ready(self, timeout: float = 60.0) -> AgentClient:
        """The client, as soon as the agent answers. Raises LinkError when an attempt fails, and when for that time
        nothing has got on: over a slow line the agent may take long to be sent."""
        self.start()
        loop, detail = asyncio.get_running_loop(), self._status.detail
        try:
            async with asyncio.timeout(timeout) as limit:
                while True:
                    changed = self._changed
                    if self._status.detail != detail:
                        detail = self._status.detail
                        limit.reschedule(loop.time() + timeout)
                    if self._session and self._status.state in _CONNECTED:
                        return self._session.client
                    if self._failure:
                        raise self._failure
                    await changed.wait()
        except TimeoutError:
            status = self._status
            raise LinkError(
                status.state,
                f"cannot reach {self.name} in {timeout:.0f} s: {status.detail or status.state}",
                retry=True,
            ) from None

    async def layer(self, name: str) -> None:
        """Places libraries of this name, if the agent lacks them. Raises LinkError, NoConnection."""
        await self.ready()
        session = self._session
        if session is None:
            raise NoConnection(f"cannot place what {name} needs on {self.name}: the connection was lost; try again")
        async with self._placing:
            if name in session.info.lacks_layers:
                await self._place(session, name)

    async def _place(self, session: Session, name: str) -> None:
        """Says how far it has come where the state of the link is shown."""

        def say(what: str) -> None:
            log.debug("%s: %s", self.name, what)
            session.note = what
            if self._session is session and self._status.state is LinkState.LIVE:
                self._live(session)

        before = session.note
        try:
            await self.route.layer(session, name, say)
        finally:
            say(before)

    async def _place_wanted(self, session: Session, names: Iterable[str]) -> None:
        """What the host needs; that it cannot be placed is a note, and tried when connected anew."""
        for name in names:
            try:
                await self.layer(name)
            except BlackholeError as error:
                log.warning("%s: %s", self.name, error)
                session.note = str(error)

    async def close(self) -> None:
        """Ends the connection; what goes on at the host goes on."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._failure = LinkError(LinkState.CLOSED, f"the link to {self.name} was closed")
        self._publish(LinkState.CLOSED)

    def _publish(self, state: LinkState, since: float | None = None, **more: object) -> None:
        now = self._clock()
        if since is None:
            since = self._status.since if state is self._status.state else now
        status = replace(LinkStatus(self.name, state, since), **more)  # type: ignore[arg-type]
        if status != self._status:
            self._status = status
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _run(self) -> None:
        attempt = 0
        while True:
            attempt += 1
            connected = self._connections
            self._failure = None
            failure = await self._attempt(attempt)
            if self._connections != connected:
                attempt = 1
            await self._wait(failure, attempt)

    async def _attempt(self, attempt: int) -> LinkError:
        """Connects and stays until it fails."""
        state = LinkState.RECONNECTING if self._connections else LinkState.CONNECTING

        def say(what: str) -> None:
            self._publish(state, detail=what, attempt=attempt)

        say("waiting for its turn")
        try:
            session = await self.route.open(say, wake=self._wake, force=self._force)
            self._session, self._wake, self._force = session, Wake.NEVER, False
            self._connections += 1
            try:
                return await self._serve(session)
            finally:
                self._session = None
                await session.close()
        except LinkError as error:
            return error
        except Exception as error:
            # A fault of ours with one host must not silence it for ever, nor hide.
            log.exception("link %s", self.name)
            return LinkError(LinkState.FAILED, f"cannot reach {self.name}: {error!r}", "this is a fault of the console")

    async def _serve(self, session: Session) -> LinkError:
        """Asks the agent again and again; returns why the connection is to be given up."""
        lost = asyncio.create_task(session.lost())
        heard = self._clock()
        self._live(session)
        placing: asyncio.Task[None] | None = None
        tried: set[str] = set()
        try:
            while True:
                wanted = [name for name in session.info.wants_layers if name not in tried]
                if wanted and (placing is None or placing.done()):
                    tried.update(wanted)
                    placing = asyncio.create_task(self._place_wanted(session, wanted), name=f"layers of {self.name}")
                await asyncio.wait({lost}, timeout=self._beat)
                if lost.done():
                    return lost.result()
                try:
                    problem = await self._question(session, lost)
                except LinkError as error:
                    return error
                if lost.done():
                    return lost.result()
                now = self._clock()
                if not problem:
                    heard = now
                    self._live(session)
                elif now - heard >= GIVE_UP:
                    return LinkError(LinkState.RECONNECTING, f"{self.name}: {problem}", retry=True)
                else:
                    self._publish(LinkState.STALE, heard, detail=problem, version=session.info.version)
        finally:
            tasks = [lost, placing] if placing else [lost]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _live(self, session: Session) -> None:
        self._publish(LinkState.LIVE, detail=session.note, version=session.info.version)

    async def _question(self, session: Session, lost: asyncio.Task[LinkError]) -> str:
        """What is wrong with the agent's answer; empty: nothing. Cut short when the connection is lost meanwhile.

        Raises LinkError when somebody stopped the agent.
        """
        question = asyncio.create_task(session.client.info())
        try:
            await asyncio.wait({question, lost}, timeout=BEAT_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if not question.done():
                return "nothing was heard"
            session.info = question.result()
        except NoConnection as error:
            if mark := await session.stopped():
                raise agent_stopped(self.name, mark, self.name) from None
            return f"the agent does not answer ({error})"
        except BlackholeError as error:
            return f"the agent does not answer ({error})"
        finally:
            # Also when the link is closed meanwhile: a question that nobody waits for would tell its failure in a
            # traceback at the end.
            question.cancel()
            await asyncio.gather(question, return_exceptions=True)
        return ""

    async def _wait(self, failure: LinkError, attempt: int) -> None:
        """Publishes the failure and waits until it is time to try again, or somebody asks."""
        state = LinkState.RECONNECTING if self._connections and failure.state is LinkState.NO_ROUTE else failure.state
        delay = backoff(attempt, self._chance()) if failure.retry else None
        next_try = self._clock() + delay if delay is not None else 0.0
        self._failure = failure
        self._hurry.clear()
        self._publish(state, detail=failure.detail, remedy=failure.remedy, attempt=attempt, next_try=next_try)
        try:
            async with asyncio.timeout(delay):
                await self._hurry.wait()
        except TimeoutError:
            return
