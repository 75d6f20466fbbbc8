"""What is checked and gathered before a process is started, so that a start that cannot work says why."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shutil
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from bhtui.agent.command import DEFAULT_PATH, Setting
from bhtui.agent.keeper import LogSpec, SpawnRequest
from bhtui.core.errors import BlackholeError
from bhtui.core.spec import ProbeKind, ProbeSpec, ServiceSpec

from .instance import Instance
from .model import Prepared

IONICE_CLASSES = {"realtime": 1, "best-effort": 2, "idle": 3}


def build(
    instance: Instance,
    prepared: Prepared,
    log_path: Path,
    environ: Mapping[str, str],
    around: Mapping[str, str] | None = None,
) -> SpawnRequest:
    """The request for the keeper. Reads secrets, looks up the user and the program; raises BlackholeError.

    `around` is what it is told of those that it depends on.
    """
    spec = instance.spec
    here = setting(instance, environ, around)
    return SpawnRequest(
        key=instance.key,
        tag={"service": spec.name, "instance": instance.name, "incarnation": instance.incarnation},
        argv=(_program(spec, here.env["PATH"], here.cwd), *spec.command[1:]),
        env=here.env,
        cwd=here.cwd,
        log=log_spec(spec, log_path),
        uid=here.uid,
        gid=here.gid,
        groups=here.groups,
        umask=spec.umask,
        nice=spec.limits.nice,
        ionice=ionice(spec.limits.ionice),
        rlimits={**spec.rlimits, **prepared.rlimits},
        cgroups=prepared.cgroups,
    )


def log_spec(spec: ServiceSpec, path: Path) -> LogSpec:
    """How the keeper is to hold the log of an instance."""
    rotate, rate = spec.rotate, spec.rate_limit
    bounds = (rate.lines, rate.bytes, rate.per) if rate else (0, 0, 0)
    return LogSpec(str(path), rotate.max_size, rotate.max_age, rotate.max_backups, *bounds)


def setting(instance: Instance, environ: Mapping[str, str], around: Mapping[str, str] | None = None) -> Setting:
    """As whom, where and with what its process and its commands run. As `build`."""
    spec = instance.spec
    person = _person(spec)
    return Setting(
        env=environment(instance, person, environ, around or {}),
        cwd=_working_dir(spec),
        uid=person.pw_uid if person else None,
        gid=person.pw_gid if person else None,
        groups=tuple(os.getgrouplist(person.pw_name, person.pw_gid)) if person else None,
        umask=0o022 if spec.umask is None else spec.umask,
    )


def environment(
    instance: Instance, person: pwd.struct_passwd | None, environ: Mapping[str, str], around: Mapping[str, str]
) -> dict[str, str]:
    """A small sane base, those around it, the tuning keys, what was declared, secrets, who it is; later ones win."""
    spec = instance.spec
    owner = person or _owner()
    base = {
        "PATH": DEFAULT_PATH,
        "HOME": owner.pw_dir if owner else environ.get("HOME", "/"),
        "LANG": environ.get("LANG", "C.UTF-8"),
        "PYTHONUNBUFFERED": "1",  # or a child's print() is seen only when its buffer is full
    }
    if owner:
        base |= {"USER": owner.pw_name, "LOGNAME": owner.pw_name, "SHELL": owner.pw_shell or "/bin/sh"}
    return {
        **base,
        **around,
        **{f"BLACKHOLE_TUNING_{key.upper().replace('-', '_')}": value for key, value in spec.tuning.items()},
        **spec.environment,
        **_secrets(spec),
        **instance.run_environment,
        "BLACKHOLE_SERVICE": spec.name,
        "BLACKHOLE_INSTANCE_NAME": instance.name,
        "BLACKHOLE_REPLICA": instance.name.rsplit("-", 1)[-1],
        **({"BLACKHOLE_PORT": str(spec.ports[0])} if spec.ports else {}),
    }


def _owner() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(os.getuid())
    except KeyError:
        return None


def _person(spec: ServiceSpec) -> pwd.struct_passwd | None:
    """The user to become: `name` or `name:group` or numbers; None when it is the agent's own."""
    if not spec.user:
        return None
    name, _, group = spec.user.partition(":")
    try:
        person = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise BlackholeError(
            f"cannot start {spec.name}: there is no user {name!r} on this host; create it, or change `user`"
        ) from None
    gid = _gid(spec, group) if group else person.pw_gid
    if os.geteuid() == 0:
        return pwd.struct_passwd((*person[:3], gid, *person[4:]))
    if (person.pw_uid, gid) == (os.geteuid(), os.getegid()):
        return None
    raise BlackholeError(
        f"cannot start {spec.name} as {spec.user}: the agent runs as uid {os.geteuid()}, and only root may become "
        "another user; run the agent as root, or remove `user`"
    )


def _gid(spec: ServiceSpec, group: str) -> int:
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise BlackholeError(
            f"cannot start {spec.name}: there is no group {group!r} on this host; create it, or change `user`"
        ) from None


def _secrets(spec: ServiceSpec) -> dict[str, str]:
    values = {}
    for name, path in spec.secrets.items():
        try:
            values[name] = Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise BlackholeError(
                f"cannot start {spec.name}: its secret {name} in {path} cannot be read: {why}; correct the file"
            ) from None
        if "\0" in values[name]:
            raise BlackholeError(f"cannot start {spec.name}: the secret {name} in {path} contains a zero byte")
    return values


def _working_dir(spec: ServiceSpec) -> str:
    folder = spec.working_dir or "/"
    if not Path(folder).is_dir():
        raise BlackholeError(f"cannot start {spec.name}: working_dir {folder} is not a directory; create it")
    if not os.access(folder, os.X_OK):
        raise BlackholeError(f"cannot start {spec.name}: working_dir {folder} may not be entered; change its rights")
    for path in spec.data:
        if Path(path).exists() and os.geteuid() != 0 and not os.access(path, os.W_OK):
            raise BlackholeError(f"cannot start {spec.name}: its data {path} is not writable; change its owner")
    return folder


def _program(spec: ServiceSpec, path: str, cwd: str) -> str:
    name = spec.command[0]
    if "/" in name:
        program = Path(cwd, name)
        if not program.exists():
            raise BlackholeError(f"cannot start {spec.name}: program {str(program)!r} does not exist")
        if program.is_dir() or not os.access(program, os.X_OK):
            raise BlackholeError(f"cannot start {spec.name}: {str(program)!r} is not an executable file; chmod +x it")
        return str(program)
    found = shutil.which(name, path=path)
    if not found:
        raise BlackholeError(
            f"cannot start {spec.name}: program {name!r} not found on PATH ({path}); install it, write its full path, "
            "or declare PATH in its environment"
        )
    return found


def ionice(text: str | None) -> tuple[int, int] | None:
    """Class and level for ioprio_set(2): `best-effort:4` is (2, 4)."""
    if not text:
        return None
    name, _, level = text.partition(":")
    return IONICE_CLASSES[name], int(level or (4 if name == "best-effort" else 0))


def check_ports(spec: ServiceSpec, ours: Collection[int] = ()) -> None:
    """Raises BlackholeError, naming the holder, when a port the service will listen on is taken.

    Beside the declared ports that is the one its probe asks on this host: whoever else answers there would be taken for
    the service. That one may be held by a child of `ours`, the processes of other instances: a proxy, say.
    """
    probed = probe_port(spec.probe)
    for port in dict.fromkeys((*spec.ports, *probed)):
        if not _is_taken(port):
            continue
        pid, name = holder_of(port)
        if port in spec.ports or not _belongs(pid, ours):
            raise BlackholeError(
                f"cannot start {spec.name}: port {port} is in use by {name}; stop that, or change the port"
            )


def probe_port(probe: ProbeSpec) -> tuple[int, ...]:
    """The port of this host that a probe asks, if it does."""
    if probe.kind not in (ProbeKind.TCP, ProbeKind.HTTP, ProbeKind.GRPC):
        return ()
    parts = urlsplit(probe.target if "://" in probe.target else f"//{probe.target}")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:  # `unix:PATH` is no host and port
        return ()
    return (port,) if port and host in ("", "localhost", "127.0.0.1", "::1") else ()


def _belongs(pid: int | None, ours: Collection[int]) -> bool:
    try:
        return pid is not None and any(one in ours for one in (pid, *(p.pid for p in psutil.Process(pid).parents())))
    except psutil.Error:
        return False


def _is_taken(port: int) -> bool:
    """By trying it: far cheaper than reading every process's descriptors, which only finding the holder needs."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - bound, never listening
        try:
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family is socket.AF_INET6:
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
    return False


def holder_of(port: int) -> tuple[int | None, str]:
    """Its pid and `nginx (pid 2231)`; without the rights to see it, that it is another user's."""
    for connection in psutil.net_connections(kind="inet"):
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
            try:
                return connection.pid, f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                break
    return None, "a process of another user"
