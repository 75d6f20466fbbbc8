"""The way to one host's agent by SSH: connect, reuse what is there, place what is missing, and open the tunnel.

One round trip more or less is noticed by everyone who waits, so the places of a host's agent are remembered: a second
connection tries them first and finds out by the agent's own answer whether they still hold.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import bhtui

from ..core.errors import BlackholeError
from ..rpc.blackhole.v1.agent_pb2 import AgentInfo
from ..rpc.client import AgentClient
from .bundle import write_whole
from .connect import Connection, Gate, connect
from .inventory import Host
from .place import Builder, place
from .probe import Found
from .remote import ask, on_host
from .route import Say, await_version, info_of, must_upgrade, parse_version
from .state import LinkError, LinkState
from .tunnel import SocketFolder, Tunnel, open_tunnel


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

    async def open(self, say: Say, *, start: bool = True, force: bool = False) -> SshSession:
        say("connecting")
        link = await connect(self.host, self._gate)
        try:
            session = await self._known(link) or await self._first_contact(link, say, start=start)
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

    async def uninstall(self, say: Say, *, purge: bool = False) -> list[str]:
        """Stops services, agent and keeper and removes what was placed; `purge`: its state and logs too.

        Returns the folders that were removed. Raises LinkError, and what the agent raises when it refuses.
        """
        say("connecting")
        link = await connect(self.host, self._gate)
        try:
            found = await ask(link)
            if found.socket == "answers":
                say("stopping the agent")
                session = await self._reach(link, self._places(found))
                try:
                    await session.client.shutdown()
                finally:
                    session.tunnel.close()
                    await session.client.close()
            python = found.best_python()
            path = (
                python.path
                if python
                else next((f"{d}/python/bin/python3" for d in found.placed if "/runtimes/" in d), "")
            )
            if not path:
                return []
            folders = [str(found.paths.bundles), f"{found.paths.state}/runtimes"]
            folders += [str(found.paths.state), str(found.paths.logs), str(found.paths.run)] if purge else []
            answer = await on_host(link, path, {"ended": str(found.paths.keeper_socket), "remove": folders})
            return list(answer.get("removed", ()))
        finally:
            await link.close()

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

    async def _first_contact(self, link: Connection, say: Say, *, start: bool) -> SshSession:
        say("looking at the host")
        found = await ask(link)
        places = self._places(found)
        if found.socket != "answers":
            if not start:
                raise LinkError(
                    LinkState.AGENT_STOPPED,
                    f"the agent of {self.host.name} does not run",
                    "connect again to start it, or: blackhole agent install",
                    retry=True,
                )
            placed = await place(link, found, self._builder, say)
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

    def close(self) -> None:
        """Removes the sockets."""
        self._sockets.close()
