"""Which hosts there are: `hosts.yaml`, the aliases of `~/.ssh/config`, and `user@host:port` as it comes.

    defaults: {user: ops, connect_timeout: 10s}
    groups:
      web: {production: true, jump: bastion}       # any host key may stand here, for all its hosts
    hosts:
      web-1: {address: 10.0.0.11, groups: [web]}
      bastion:                                     # its address and user come from ~/.ssh/config

Nearer wins: host, then its groups in the order named, then defaults.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..core.errors import ConfigError, NotFound, Problem, UsageError
from ..core.units import parse_duration

LOCAL = "local"
"""The name of this machine; its link needs no SSH."""

_AD_HOC = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^@:\s\[\]]+))(?::(?P<port>\d+))?"
)


@dataclass(frozen=True, slots=True)
class PrometheusAt:
    """A Prometheus in which a host's figures are, for graphs of what its agent does not have."""

    url: str
    """Its address; one on loopback is the host's own, and is reached through SSH."""
    labels: tuple[tuple[str, str], ...] = ()
    """What the series of this host have in common; empty: `host`, its name here."""
    username: str = ""
    password_file: str = ""
    bearer_token_file: str = ""
    ca_file: str = ""
    """Certificates of the authorities that are trusted, PEM; empty: those of the system."""

    @property
    def place(self) -> tuple[str, int]:
        """Name and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_on_host(self) -> bool:
        """Whether it is on the loopback of the host."""
        name = self.place[0]
        return name == "localhost" or name == "::1" or name.startswith("127.")


@dataclass(frozen=True, slots=True)
class Host:
    """How one host is reached, and what may be done there. Empty and 0: what ~/.ssh/config says, or SSH's default."""

    name: str
    address: str = ""
    """Name or IP address; empty: the name, as ~/.ssh/config or DNS know it."""
    port: int = 0
    """Port of its sshd."""
    user: str = ""
    """Login name."""
    identity_files: tuple[str, ...] = ()
    """Only these keys are offered; empty: those of ~/.ssh/config, the SSH agent, and the default files."""
    known_hosts: tuple[str, ...] = ()
    """Only these files are believed; empty: those of ~/.ssh/config, or the user's and the system's."""
    jump: tuple[Host, ...] = ()
    """Hops on the way, the first one reached directly."""
    groups: tuple[str, ...] = ()
    """Groups it is in, of those under `groups:`; the first named wins."""
    home: str = ""
    """BLACKHOLE_HOME there."""
    python: str = ""
    """Path of the interpreter to use there; empty: the newest that fits."""
    read_only: bool = False
    """No action that changes anything is offered or carried out."""
    production: bool = False
    """Dangerous actions want the host's name typed."""
    connect_timeout: float = 15.0
    """Seconds for each hop of the way, the host included."""
    keepalive: float = 1.0
    """Seconds between keepalives; `keepalive_count` unanswered ones end the connection."""
    keepalive_count: int = 3
    """Unanswered keepalives after which the connection is ended and made anew."""
    prometheus: PrometheusAt | None = None
    """Where graphs come from that the agent does not have: `url` (on loopback: the host's own, through SSH), `labels`
    of its series (its name as `host` if none), `username` and `password_file`, `bearer_token_file`, `ca_file`."""

    @property
    def local(self) -> bool:
        return self.name == LOCAL and not self.address

    @property
    def endpoint(self) -> str:
        """Who is dialled first: links to the same endpoint share its sshd's limits."""
        first = self.jump[0] if self.jump else self
        return f"{first.address or first.name}:{first.port or 22}"


def parse_ad_hoc(text: str) -> Host:
    """`[user@]host[:port]`, an IPv6 address in brackets or bare without a port. Raises UsageError."""
    if re.fullmatch(r"[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.:]*(%\w+)?", text):
        return Host(name=text, address=text)
    match = _AD_HOC.fullmatch(text)
    port = int(match["port"] or 0) if match else 0
    if not match or text.startswith("-") or port > 65535 or (match["port"] and port == 0):
        raise UsageError(f"cannot read {text!r} as a host; write user@host, user@host:port or user@[IPv6]:port")
    address = match["v6"] or match["host"]
    return Host(name=text, address="" if text == address else address, port=port, user=match["user"] or "")


def ssh_aliases(config: Path) -> tuple[str, ...]:
    """The names after `Host` in an ssh_config(5) file, without patterns and negations; `()` when there is no file."""
    try:
        lines = config.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = [re.split(r"[\s=]+", line.strip()) for line in lines]
    names = [name.strip('"') for first, *rest in words if first.lower() == "host" for name in rest]
    return tuple(dict.fromkeys(name for name in names if name and not re.search(r"[*?!]", name)))


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that is known before anything is connected."""

    hosts: Mapping[str, Host] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """Names that ~/.ssh/config knows and hosts.yaml does not."""

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(sorted({group for host in self.hosts.values() for group in host.groups}))

    def find(self, name: str) -> Host:
        """The declared host, this machine, or the name taken as an address. Raises UsageError."""
        return self.hosts.get(name) or (Host(LOCAL) if name == LOCAL else parse_ad_hoc(name))

    def select(self, hosts: Iterable[str] = (), groups: Iterable[str] = ()) -> tuple[Host, ...]:
        """The hosts named and those of the groups, each once, in order; with neither, every declared one.

        Raises NotFound for an unknown group, UsageError for what cannot be a host.
        """
        names, wanted = list(hosts), list(groups)
        for group in wanted:
            if group not in self.groups:
                raise NotFound(f"cannot find the group {group!r} in hosts.yaml{_did_you_mean(group, self.groups)}")
        if not names and not wanted:
            return tuple(self.hosts.values())
        chosen = [self.find(name) for name in names]
        chosen += [host for host in self.hosts.values() if set(host.groups) & set(wanted)]
        return tuple(dict.fromkeys(chosen))


def load(path: Path, ssh_config: Path | None = None) -> Inventory:
    """Reads `hosts.yaml` (none is an empty inventory) and the aliases of `ssh_config`, by default the user's.

    Raises ConfigError with every problem of the file.
    """
    aliases = ssh_aliases(ssh_config or Path("~/.ssh/config").expanduser())
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Inventory({}, aliases)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem(str(path), 0, 0, f"cannot read it: {error}"),)) from None
    hosts = _Reader(str(path)).read(text)
    return Inventory(hosts, tuple(name for name in aliases if name not in hosts))


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or value == "":
        raise ValueError("must be a text")
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, value)) if isinstance(value, list) else (_text(value),)


def _files(value: Any) -> tuple[str, ...]:
    return tuple(str(Path(name).expanduser()) for name in _texts(value))


def _hops(value: Any) -> tuple[str, ...]:
    return tuple(hop.strip() for text in _texts(value) for hop in text.split(","))


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return convert


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _seconds(value: Any) -> float:
    seconds = parse_duration(value if isinstance(value, (int, float)) else _text(value))
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def prometheus_at(value: Any) -> PrometheusAt:
    """From a URL, or a mapping with one. Raises ValueError."""
    value = {"url": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping) or "url" not in value:
        raise ValueError("must be a mapping with a url")
    known = {"url", "labels", "username", "password_file", "bearer_token_file", "ca_file"}
    if unknown := sorted(set(map(str, value)) - known):
        raise ValueError(f"unknown key {unknown[0]!r}; known keys: {', '.join(sorted(known))}")
    parts = urlsplit(_text(value["url"]))
    try:
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1
    except ValueError:
        wrong = True
    if wrong:
        raise ValueError("url must be an http or https address, like http://127.0.0.1:9090")
    if parts.username is not None:
        raise ValueError("a password does not belong into the url; write username and password_file beside it")
    labels = value.get("labels") or {}
    if not isinstance(labels, Mapping) or not all(re.fullmatch(r"[a-zA-Z_]\w*", str(name)) for name in labels):
        raise ValueError("labels must be a mapping of names to values")
    more = {key: _text(value[key]) for key in known - {"url", "labels"} if key in value}
    files = {key: str(Path(path).expanduser()) for key, path in more.items() if key.endswith("_file")}
    named = tuple((str(name), _text(each)) for name, each in labels.items())
    return PrometheusAt(str(value["url"]).rstrip("/"), named, **{**more, **files})


_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "address": ("address", _text),
    "port": ("port", _whole(1, 65535)),
    "user": ("user", _text),
    "identity_file": ("identity_files", _files),
    "known_hosts": ("known_hosts", _files),
    "jump": ("jump", _hops),
    "home": ("home", _text),
    "python": ("python", _text),
    "read_only": ("read_only", _flag),
    "production": ("production", _flag),
    "connect_timeout": ("connect_timeout", _seconds),
    "keepalive": ("keepalive", _seconds),
    "keepalive_count": ("keepalive_count", _whole(1, 100)),
    "prometheus": ("prometheus", prometheus_at),
}
"""Key in the file: field of Host, and what reads its value (ValueError: what it must be)."""

_Pairs = list[tuple[str, yaml.Node, yaml.Node]]


class _Reader:
    """One reading of one file; collects every problem."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def read(self, text: str) -> dict[str, Host]:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise ConfigError((Problem(self.file, *where, f"this is not YAML: {error.problem}"),)) from None
        except yaml.YAMLError as error:
            raise ConfigError((Problem(self.file, 0, 0, f"this is not YAML: {error}"),)) from None
        top = {key: value for key, _, value in self._pairs(root, ("defaults", "groups", "hosts"))}
        defaults, _ = self._fields(top.get("defaults"), ())
        groups = {name: self._fields(node, ())[0] for name, _, node in self._pairs(top.get("groups"))}
        hosts: dict[str, Host] = {}
        hops: dict[str, tuple[tuple[str, ...], yaml.Node]] = {}
        for name, at, node in self._pairs(top.get("hosts")):
            own, members = self._fields(node, ("groups",))
            chosen = self._groups(members, groups)
            merged = {**defaults}
            for group in reversed(chosen):
                merged |= groups[group]
            merged |= own
            hops[name] = (merged.pop("jump", ()), at)
            hosts[name] = Host(name=name, groups=chosen, **merged)
        resolved = {name: self._with_jumps(name, hosts, hops, ()) for name in hosts}
        if self.problems:
            raise ConfigError(tuple(sorted(self.problems, key=lambda p: (p.line, p.column))))
        return resolved

    def _problem(self, node: yaml.Node, message: str, hint: str = "") -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, message, hint))

    def _pairs(self, node: yaml.Node | None, allowed: Iterable[str] = ()) -> _Pairs:
        """The entries of a mapping, each key once and, with `allowed`, only those."""
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return []
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "this must be a mapping of names to values")
            return []
        seen: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not name:
                self._problem(key, "a key must be a word")
            elif name in seen:
                self._problem(key, f"{name!r} is here twice")
            elif allowed and name not in allowed:
                hint = _did_you_mean(name, allowed).lstrip("; ") or f"known keys: {', '.join(allowed)}"
                self._problem(key, f"unknown key {name!r}", hint)
            else:
                seen[name] = (name, key, value)
        return list(seen.values())

    def _fields(self, node: yaml.Node | None, more: tuple[str, ...]) -> tuple[dict[str, Any], yaml.Node | None]:
        """The fields of Host that stand in a mapping, and its `groups` node."""
        fields: dict[str, Any] = {}
        groups = None
        for name, _, value in self._pairs(node, (*_KEYS, *more)):
            if name == "groups":
                groups = value
                continue
            target, convert = _KEYS[name]
            try:
                fields[target] = convert(self._plain(value))
            except ValueError as error:
                self._problem(value, f"{name}: {error}")
        return fields, groups

    def _groups(self, node: yaml.Node | None, known: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            names = _texts(self._plain(node)) if node else ()
        except ValueError as error:
            self._problem(node, f"groups: {error}")  # type: ignore[arg-type]
            return ()
        for name in names:
            if node and name not in known:
                self._problem(node, f"there is no group {name!r}", _did_you_mean(name, known).lstrip("; "))
        return tuple(name for name in names if name in known)

    @staticmethod
    def _plain(node: yaml.Node) -> Any:
        constructor = yaml.constructor.SafeConstructor()
        return constructor.construct_document(node)

    def _with_jumps(
        self,
        name: str,
        hosts: Mapping[str, Host],
        hops: Mapping[str, tuple[tuple[str, ...], yaml.Node]],
        on_the_way: tuple[str, ...],
    ) -> Host:
        """The host with its hops in full: a hop's own hops come before it. A host is never its own hop."""
        wanted, at = hops[name]
        path: list[Host] = []
        for hop in wanted:
            if hop == name and not on_the_way:
                continue  # a jump that stands in defaults or in the hop's own group
            if hop == name or hop in on_the_way:
                self._problem(at, f"jump: a circle: {' -> '.join((*on_the_way, name, hop))}")
            elif hop in hosts:
                inner = self._with_jumps(hop, hosts, hops, (*on_the_way, name))
                path += [*inner.jump, replace(inner, jump=())]
            else:
                try:
                    path.append(parse_ad_hoc(hop))
                except UsageError as error:
                    self._problem(at, f"jump: {error}")
        return replace(hosts[name], jump=tuple(path))
