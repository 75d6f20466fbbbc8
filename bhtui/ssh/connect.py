"""One SSH connection to one host: strict about host keys, kept alive, and every failure told in the user's words."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from .inventory import Host, parse_ad_hoc
from .state import LinkError, LinkState

_DROPPED_TRIES = 5
"""How often a connection is tried that sshd closed before its greeting (MaxStartups)."""


class Gate:
    """How many handshakes run at once: all together, and with one sshd, whose MaxStartups drops more than ten."""

    def __init__(self, total: int = 24, per_server: int = 8) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_server = per_server
        self._servers: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def enter(self, endpoint: str) -> AsyncIterator[None]:
        """Waits for a place. The server's comes first, so that one slow server holds none of the common ones."""
        server = self._servers.setdefault(endpoint, asyncio.Semaphore(self._per_server))
        async with server, self._total:
            yield


class _Watch(asyncssh.SSHClient):
    """Sees what asyncssh does not put into its errors: the key that was refused, the methods the server wants."""

    def __init__(self) -> None:
        self.connection: asyncssh.SSHClientConnection | None = None
        self.refused: asyncssh.SSHKey | None = None
        self.where = ("", "", 0)
        self.methods: list[str] = []
        self.reason: Exception | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self.reason = exc

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refused, self.where = key, (host, addr, port)
        return False

    def public_key_auth_requested(self) -> None:
        self._note("publickey")

    def password_auth_requested(self) -> None:
        self._note("password")

    def kbdint_auth_requested(self) -> None:
        self._note("keyboard-interactive")

    def _note(self, method: str) -> None:
        if method not in self.methods:
            self.methods.append(method)

    @property
    def greeted(self) -> bool:
        return bool(self.connection and self.connection.get_extra_info("server_version"))


class Connection:
    """An open connection and the hops it stands on; `reason()` says why it ended."""

    def __init__(
        self,
        host: Host,
        conn: asyncssh.SSHClientConnection,
        watch: _Watch,
        hops: list[asyncssh.SSHClientConnection],
    ) -> None:
        self.host = host
        self.conn = conn
        self._watch = watch
        self._hops = hops

    def reason(self) -> LinkError:
        """Why the connection was lost, as something to try again."""
        return LinkError(LinkState.RECONNECTING, f"lost {self.host.name}: {_lost(self._watch.reason)}", retry=True)

    async def close(self, timeout: float = 2.0) -> None:
        """Says goodbye, waits at most `timeout` seconds, then cuts."""
        await _close((self.conn, *reversed(self._hops)), timeout)


async def connect(host: Host, gate: Gate | None = None) -> Connection:
    """Connects through the host's hops. Raises LinkError; bounded by the host's connect timeout for each hop."""
    for attempt in range(_DROPPED_TRIES):
        try:
            if gate is None:
                return await _connect(host)
            async with gate.enter(host.endpoint):
                return await _connect(host)
        except _Dropped as error:
            if attempt == _DROPPED_TRIES - 1:
                raise LinkError(
                    LinkState.NO_ROUTE,
                    f"cannot connect to {error.name}: sshd closed the connection before its greeting",
                    "too many connections at once, or this machine is banned for a while: see MaxStartups and "
                    "PerSourcePenalties in its sshd_config",
                    retry=True,
                ) from None
            # Other connections are what is in the way; they are gone after a handshake's time.
            await asyncio.sleep(0.1 * 2**attempt * (0.75 + 0.5 * int.from_bytes(os.urandom(1), "big") / 255))
    raise AssertionError("the last attempt returns or raises")


class _Dropped(Exception):
    """sshd closed the connection before its greeting."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


async def _connect(host: Host) -> Connection:
    opened: list[asyncssh.SSHClientConnection] = []
    try:
        watch, options = await _prepare(host, host, "")
        for hop in host.jump or _configured_jumps(options):
            via = f" (on the way to {host.name})"
            hop_watch, hop_options = await _prepare(hop, host, via)
            opened.append(await _dial(hop, via, hop_watch, hop_options, opened[-1] if opened else None))
        conn = await _dial(host, "", watch, options, opened[-1] if opened else None)
        return Connection(host, conn, watch, opened)
    except BaseException:
        await _close(tuple(reversed(opened)), 1.0)
        raise


async def _prepare(hop: Host, host: Host, via: str) -> tuple[_Watch, asyncssh.SSHClientConnectionOptions]:
    """Configuration, keys and known hosts. A hop believes the host's known_hosts, which asyncssh would not hand on."""
    watch = _Watch()
    try:
        options = await asyncio.to_thread(_options, hop, hop.known_hosts or host.known_hosts, lambda: watch)
    except (OSError, ValueError, asyncssh.Error) as error:
        raise LinkError(
            LinkState.FAILED,
            f"cannot connect to {hop.name}{via}: {error}",
            "check ~/.ssh/config and, in hosts.yaml, identity_file and known_hosts",
        ) from None
    return watch, options


async def _dial(
    host: Host,
    via: str,
    watch: _Watch,
    options: asyncssh.SSHClientConnectionOptions,
    tunnel: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    """One connection, of a hop or of the host itself."""
    try:
        async with asyncio.timeout(host.connect_timeout):
            return await asyncssh.connect(host.address or host.name, options=options, tunnel=tunnel)
    except (OSError, asyncssh.Error, ValueError, TimeoutError) as error:
        raise _explain(error, host, via, watch, options, tunneled=tunnel is not None) from None


def _options(
    host: Host, believed: tuple[str, ...], factory: Callable[[], asyncssh.SSHClient]
) -> asyncssh.SSHClientConnectionOptions:
    """Reads ~/.ssh/config and the keys; blocking."""
    chosen: dict[str, Any] = {"host": host.address or host.name}
    if host.port:
        chosen["port"] = host.port
    if host.user:
        chosen["username"] = host.user
    # Read apart and without keys: what is set on finished options is lost when connect() makes its own of them.
    configured = asyncssh.SSHClientConnectionOptions(**chosen, client_keys=None)
    known = _known_hosts(believed or _files_of(configured.known_hosts))
    if host.identity_files:
        public = [f"{name}.pub" for name in host.identity_files if Path(f"{name}.pub").exists()]
        chosen |= {"client_keys": list(host.identity_files), "ignore_encrypted": True}
        chosen |= {"agent_identities": public} if public else {"agent_path": None}
    return asyncssh.SSHClientConnectionOptions(
        client_factory=factory,
        known_hosts=known,
        server_host_key_algs=_key_kinds(known, configured),
        keepalive_interval=host.keepalive,
        keepalive_count_max=host.keepalive_count,
        login_timeout=host.connect_timeout,
        compression_algs=None,
        gss_auth=False,
        gss_kex=False,
        password_auth=False,
        kbdint_auth=False,
        **chosen,
    )


def _configured_jumps(options: asyncssh.SSHClientConnectionOptions) -> tuple[Host, ...]:
    """ProxyJump of ~/.ssh/config, dialled by us and not by asyncssh, so that known_hosts are handed on."""
    jumps = options.tunnel if isinstance(options.tunnel, str) else ""
    return tuple(parse_ad_hoc(hop.strip()) for hop in jumps.split(",") if hop.strip() and jumps.lower() != "none")


_KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA_KINDS = ("rsa-sha2-512", "rsa-sha2-256")


def _key_kinds(known: asyncssh.SSHKnownHosts, options: asyncssh.SSHClientConnectionOptions) -> list[str] | tuple[()]:
    """The kinds of the known keys first, then the others, as OpenSSH does; `()`: asyncssh's choice.

    asyncssh would offer the known kinds alone, and a host whose key is of another kind now would just hang up.
    """
    name, port = options.host_key_alias or options.host, options.port
    keys, authorities, *_ = asyncssh.match_known_hosts(known, name, "", port if port != 22 else None)
    if not keys or authorities:
        return ()
    mine = [key.get_algorithm() for key in keys]
    kinds = [kind for algorithm in mine for kind in (_RSA_KINDS if algorithm == "ssh-rsa" else (algorithm,))]
    return list(dict.fromkeys([*kinds, *_KEY_KINDS, *_RSA_KINDS]))


def _files_of(configured: object) -> tuple[str, ...]:
    """ssh_config's files; `UserKnownHostsFile none` means that nothing is known, never that everything is trusted."""
    if isinstance(configured, (list, tuple)) and configured:
        return tuple(map(str, configured))
    return () if configured is None else ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


def _known_hosts(files: tuple[str, ...]) -> asyncssh.SSHKnownHosts:
    stamps = []
    for file in files:
        path = Path(file).expanduser()
        try:
            stamps.append((str(path), path.stat().st_mtime_ns))
        except OSError:
            continue
    return _parse_known_hosts(tuple(stamps))


@functools.lru_cache(maxsize=64)
def _parse_known_hosts(stamps: tuple[tuple[str, int], ...]) -> asyncssh.SSHKnownHosts:
    """Parsed once for a fleet; read again when a file changes."""
    text = "".join(Path(path).read_text(errors="replace").rstrip("\n") + "\n" for path, _ in stamps)
    return asyncssh.import_known_hosts(text)


async def _close(connections: tuple[asyncssh.SSHClientConnection, ...], timeout: float) -> None:
    for conn in connections:
        conn.close()
        try:
            async with asyncio.timeout(timeout):
                await conn.wait_closed()
        except (TimeoutError, OSError, asyncssh.Error):
            conn.abort()


def _lost(error: Exception | None) -> str:
    if error is None:
        return "the other side closed the connection"
    text = str(error).rstrip(".")
    if isinstance(error, TimeoutError) or "keepalive" in text.lower() or "timed out" in text.lower():
        return "it answered no keepalive"
    return text or type(error).__name__


_NETWORK: dict[int, tuple[str, str]] = {
    errno.ECONNREFUSED: ("the connection was refused", "is sshd running there, on port {port}?"),
    errno.EHOSTUNREACH: ("there is no route to it", "check the network, VPN or address"),
    errno.ENETUNREACH: ("the network is unreachable", "check the network, VPN or address"),
    errno.ETIMEDOUT: ("it did not answer in time", "check the address and firewalls, or raise connect_timeout"),
    errno.ECONNRESET: ("the connection was reset", "see the log of its sshd"),
}


def _explain(
    error: Exception,
    host: Host,
    via: str,
    watch: _Watch,
    options: asyncssh.SSHClientConnectionOptions,
    *,
    tunneled: bool,
) -> Exception:
    """The error table: what asyncssh and the system raise, as state, cause and remedy."""
    name = f"{host.name}{via}"

    def unreachable(cause: str, remedy: str) -> LinkError:
        return LinkError(LinkState.NO_ROUTE, f"cannot connect to {name}: {cause}", remedy, retry=True)

    if watch.refused is not None or isinstance(error, (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed)):
        return _host_key_error(error, host, name, watch, options)
    match error:
        case asyncssh.PermissionDenied():
            return _auth_error(host, name, watch)
        case TimeoutError():
            return unreachable(*_NETWORK[errno.ETIMEDOUT])
        case socket.gaierror():
            return unreachable(
                "its name cannot be resolved", "check the spelling, DNS, or write address: in hosts.yaml"
            )
        case asyncssh.ChannelOpenError() if tunneled:
            return unreachable(f"the jump host could not reach it ({error.reason})", "check it from the jump host")
        case asyncssh.DisconnectError() | OSError() if watch.connection and not watch.greeted and not _coded(error):
            return _Dropped(name)
        case OSError() if code := _coded(error):
            cause, remedy = _NETWORK.get(code, (os.strerror(code), "check the network"))
            return unreachable(cause, remedy.format(port=options.port))
        case asyncssh.Error() | OSError():
            return unreachable(_lost(error), "see the log of its sshd")
        case _:
            return LinkError(
                LinkState.FAILED, f"cannot connect to {name}: {error}", "check hosts.yaml, ~/.ssh/config and the keys"
            )


def _coded(error: Exception) -> int:
    """The error number; asyncio joins several failed addresses into one OSError whose text alone has them."""
    if not isinstance(error, OSError) or isinstance(error, ConnectionResetError):
        return 0
    if error.errno:
        return error.errno
    return next((code for code in _NETWORK if f"[Errno {code}]" in str(error)), 0)


def _ssh_command(host: Host) -> str:
    """What a person types to meet the host with OpenSSH."""
    port = f" -p {host.port}" if host.port else ""
    files = f" -o UserKnownHostsFile={host.known_hosts[0]}" if host.known_hosts else ""
    jump = f" -J {','.join(hop.name for hop in host.jump)}" if host.jump else ""
    return f"ssh{port}{files}{jump} {host.user + '@' if host.user else ''}{host.address or host.name}"


def _host_key_error(
    error: Exception,
    host: Host,
    name: str,
    watch: _Watch,
    options: asyncssh.SSHClientConnectionOptions,
) -> LinkError:
    key = watch.refused
    if key is None:
        if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" not in str(error).lower():
            return LinkError(
                LinkState.FAILED, f"cannot connect to {name}: {error.reason}", "its sshd is too old or too new"
            )
        return LinkError(
            LinkState.HOST_KEY_CHANGED,
            f"cannot trust {name}: it has no host key of the kind that is known, or one that was revoked ({error})",
            "ask whoever runs it; if it was reinstalled, remove its lines from known_hosts",
        )
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
    where, addr, port = watch.where
    file = host.known_hosts[0] if host.known_hosts else "~/.ssh/known_hosts"
    known = asyncssh.match_known_hosts(options.known_hosts, where, addr, port if port != 22 else None)
    if known[0]:
        entry = f"[{where}]:{port}" if port != 22 else where
        return LinkError(
            LinkState.HOST_KEY_CHANGED,
            f"cannot trust {name}: its host key is not the one that is known; it shows {shown}",
            f"someone may be in between; if it was reinstalled: ssh-keygen -f {file} -R '{entry}', "
            f"then {_ssh_command(host)}",
        )
    return LinkError(
        LinkState.UNKNOWN_HOST_KEY,
        f"cannot trust {name} yet: its host key {shown} is not in known_hosts",
        f"compare the fingerprint and accept it once with: {_ssh_command(host)}",
    )


def _auth_error(host: Host, name: str, watch: _Watch) -> LinkError:
    keys = ", ".join(host.identity_files) or "the SSH agent's keys and those of ~/.ssh"
    others = [method for method in watch.methods if method != "publickey"]
    wanted = f"; the server also takes {', '.join(others)}" if others else ""
    user = watch.connection.get_extra_info("username") if watch.connection else host.user
    return LinkError(
        LinkState.AUTH_FAILED,
        f"cannot log in to {name} as {user or host.user}: publickey was tried with {keys}{wanted}",
        "add your key to its authorized_keys, load it with ssh-add, or set user and identity_file",
    )
