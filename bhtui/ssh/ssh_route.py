"""The way to one host's agent by SSH: connect, reuse what is there, place what is missing, and open the tunnel.

One round trip more or less is noticed by everyone who waits, so the places of a host's agent are remembered: a second
connection tries them first and finds out by the agent's own answer whether they still hold.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import bhtui

from ..core.errors import BlackholeError
from ..rpc.blackhole.v1.agent_pb2 import AgentInfo
from ..rpc.client import AgentClient
from ..rpc.stopped import NAME as MARK
from ..rpc.stopped import Stopped, Wake
from ..rpc.stopped import parse as parse_mark
from .bundle import write_whole
from .connect import Connection, Gate, connect
from .inventory import Host
from .place import Builder, place, place_layer
from .ports import Ports
from .probe import Found
from .remote import ask, execute
from .route import Say, Session, agent_stopped, await_version, info_of, must_upgrade, parse_version
from .state import LinkError, LinkState
from .tunnel import SocketFolder, Tunnel, open_tunnel

_MARK_TIMEOUT = 5.0
_BOOT_TIMEOUT = 200.0
"""Seconds for what `agent.boot` does: it may have to stop every service in order."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is remembered of a host."""

    socket: str
    python: str


class Memory:
    """Places of agents, a small file for each host in the cache folder; losing one costs a probe, nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, host: Host) -> Path:
        identity = json.dumps([host.name, host.address, host.port, host.user, host.home, [j.name for j in host.jump]])
        return self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.json"

    def recall(self, host: Host) -> Places | None:
        try:
            return Places(**json.loads(self._file(host).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, host: Host, places: Places) -> None:
        if self.recall(host) != places:
            write_whole(self._file(host), json.dumps(asdict(places)).encode())


class SshSession:
    """An agent behind a tunnel."""

    def __init__(self, link: Connection, tunnel: Tunnel, client: AgentClient, info: AgentInfo) -> None:
        self.link = link
        self.tunnel = tunnel
        self.client = client
        self.info = info
        self.note = ""

    async def lost(self) -> LinkError:
        await self.link.conn.wait_closed()
        return self.link.reason()

    async def stopped(self) -> Stopped | None:
        file = shlex.quote(f"{self.info.state_dir}/{MARK}")
        try:
            code, output, _ = await execute(self.link, f"cat {file} 2>/dev/null", timeout=_MARK_TIMEOUT)
        except LinkError:
            return None  # the next attempt to connect finds out
        return None if code else parse_mark(output or "?")

    async def close(self) -> None:
        self.tunnel.close()
        await self.client.close()
        await self.link.close()


class SshRoute:
    """The way to one host. Everything that several hosts share is handed in."""

    def __init__(self, host: Host, gate: Gate, builder: Builder, sockets: SocketFolder) -> None:
        self.host = host
        self._gate = gate
        self._builder = builder
        self._sockets = sockets
        self._memory = Memory(builder.cache / "hosts")

    async def open(self, say: Say, *, wake: Wake = Wake.UNLESS_STOPPED, force: bool = False) -> SshSession:
        say("connecting")
        link = await connect(self.host, self._gate)
        try:
            session = await self._known(link) or await self._first_contact(link, say, wake)
            try:
                if force or must_upgrade(self.host.name, session.info.version, bhtui.__version__):
                    await self._upgrade(session, say, force=force)
            except BaseException:
                await session.close()
                raise
            return session
        except BaseException:
            await link.close()
            raise

    async def layer(self, session: Session, name: str, say: Say) -> None:
        assert isinstance(session, SshSession), "it was opened by this route"
        await place_layer(session.link, await ask(session.link), self._builder, name, say)
        session.info = await info_of(session.client, self.host.name)

    async def boot(self, say: Say, words: Sequence[str]) -> str:
        say("connecting")
        link = await connect(self.host, self._gate)
        try:
            found = await ask(link)
            placed = await place(link, found, self._builder, say, start=False)
            environ = {"PYTHONPATH": placed.bundle_dir, **({"BLACKHOLE_HOME": found.base} if found.base else {})}
            given = [f"{name}={value}" for name, value in environ.items()]
            command = shlex.join(["env", *given, placed.python, "-P", "-m", "bhtui.agent.boot", *words])
            say(" ".join(words))
            code, output, errors = await execute(link, command, timeout=_BOOT_TIMEOUT)
        finally:
            await link.close()
        if code:
            said = [*output.splitlines(), *errors.strip().splitlines()[-1:]]
            raise BlackholeError("\n".join(said) or f"cannot {words[0]} the agent: it ended with code {code}")
        return output

    async def _known(self, link: Connection) -> SshSession | None:
        """The agent at the remembered place, or None when nobody answers there."""
        places = self._memory.recall(self.host)
        if places is None:
            return None
        try:
            return await self._reach(link, places)
        except LinkError as error:
            if error.state is not LinkState.AGENT_STOPPED:
                raise
            return None

    async def _first_contact(self, link: Connection, say: Say, wake: Wake) -> SshSession:
        say("looking at the host")
        found = await ask(link)
        places = self._places(found)
        if found.socket != "answers":
            if wake is Wake.NEVER or (found.stopped and wake is Wake.UNLESS_STOPPED):
                raise agent_stopped(self.host.name, found.stopped, self.host.name)
            placed = await place(link, found, self._builder, say, for_start=wake is Wake.TO_START)
            places = Places(places.socket, placed.python)
        say("opening the tunnel")
        session = await self._reach(link, places)
        self._memory.keep(self.host, places)
        return session

    @staticmethod
    def _places(found: Found) -> Places:
        python = found.best_python() or next(iter(found.pythons), None)
        return Places(str(found.paths.agent_socket), python.path if python else "")

    async def _reach(self, link: Connection, places: Places) -> SshSession:
        tunnel = await open_tunnel(link, places.socket, places.python, self._sockets.new())
        client = AgentClient(tunnel.path)
        try:
            return SshSession(link, tunnel, client, await info_of(client, self.host.name))
        except BaseException:
            tunnel.close()
            await client.close()
            raise

    async def _upgrade(self, session: SshSession, say: Say, *, force: bool) -> None:
        """Replaces keeper and agent by ours; services are not touched. A failure leaves a note, not a broken link."""
        if not session.info.bundle and not force:
            session.note = f"its own installation of {session.info.version} is used as it is"
            return
        try:
            found = await ask(session.link)
            placed = await place(session.link, found, self._builder, say, start=False)
            if placed.bundle_dir.endswith(f"/{session.info.bundle}") and session.info.bundle:
                return
            say("upgrading the agent")
            self._memory.keep(self.host, Places(str(found.paths.agent_socket), placed.python))
            await session.client.upgrade(placed.bundle_dir, placed.python)
            session.info = await await_version(session.client, self.host.name, session.info)
        except BlackholeError as error:
            if force or parse_version(session.info.version)[0] != parse_version(bhtui.__version__)[0]:
                raise LinkError(
                    LinkState.AGENT_TOO_OLD,
                    f"cannot upgrade the agent of {self.host.name} from {session.info.version}: {error}",
                    "see agent.log there; services run on as before",
                ) from None
            session.note = f"still agent {session.info.version}: {error}"


class SshRoutes:
    """What all SSH routes of one console share: pacing, bundles, and the folder of forwarded sockets."""

    def __init__(self, cache: Path) -> None:
        self._gate = Gate()
        self._builder = Builder(cache)
        self._sockets = SocketFolder()

    def to(self, host: Host) -> SshRoute:
        """The way to a host."""
        return SshRoute(host, self._gate, self._builder, self._sockets)

    def ports(self, host: Host) -> Ports:
        """Other ports of a host."""
        return Ports(host, self._gate, self._sockets)

    def close(self) -> None:
        """Removes the sockets."""
        self._sockets.close()
