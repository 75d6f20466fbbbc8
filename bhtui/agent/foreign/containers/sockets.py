"""Where the engines of a host are reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DOCKER = "docker"
PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class Place:
    """One socket, and which engine is expected behind it."""

    engine: str
    path: str


def places(environ: Mapping[str, str], uid: int) -> tuple[Place, ...]:
    """The sockets to look at, the nearest first: what DOCKER_HOST names, a user's own, the host's.

    A DOCKER_HOST over TCP or SSH is another host and has an agent of its own.
    """
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    found = []
    host = environ.get("DOCKER_HOST", "")
    if host.startswith("unix://") and host != "unix://":
        path = host.removeprefix("unix://")
        found.append(Place(PODMAN if PODMAN in path else DOCKER, path))
    if uid:
        found += [Place(DOCKER, f"{runtime}/docker.sock"), Place(PODMAN, f"{runtime}/podman/podman.sock")]
    found += [Place(DOCKER, "/var/run/docker.sock"), Place(PODMAN, "/run/podman/podman.sock")]
    unique = {place.path: place for place in reversed(found)}
    return tuple(place for place in found if unique[place.path] is place)


def wanted(engine: str, environ: Mapping[str, str], uid: int) -> tuple[Place, ...]:
    """The sockets of an `engine` as it is declared: `docker`, `podman`, the path of a socket; empty: all."""
    if engine.startswith("/"):
        return (Place(PODMAN if PODMAN in engine else DOCKER, engine),)
    return tuple(place for place in places(environ, uid) if engine in ("", place.engine))
