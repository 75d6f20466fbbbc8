"""Finds the container that a service means, in one of the engines of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bhtui.core.errors import BlackholeError, NotFound, UsageError
from bhtui.core.spec import ServiceSpec

from .container import Container
from .engine import Engine
from .listing import there
from .sockets import Place, wanted
from .troubles import nowhere
from .watch import Watch


class Engines:
    """The engines of this host, one object for each socket that was needed."""

    def __init__(self, environ: Mapping[str, str], uid: int) -> None:
        self._environ, self._uid = environ, uid
        self._watches: dict[str, tuple[Engine, Watch]] = {}

    def of(self, engine: str) -> list[tuple[Engine, Watch]]:
        """Those meant by `engine` as it is declared (empty: all). Sockets that are not there are not looked at.

        Where none is there, those that might be, so that somebody can say what is missing.
        """
        meant = wanted(engine, self._environ, self._uid)
        return [self._at(place) for place in there(meant) or meant]

    def _at(self, place: Place) -> tuple[Engine, Watch]:
        if place.path not in self._watches:
            made = Engine(place)
            self._watches[place.path] = made, Watch(made)
        return self._watches[place.path]

    async def close(self) -> None:
        """Ends all connections."""
        await asyncio.gather(*(watch.close() for _, watch in self._watches.values()))


async def find(spec: ServiceSpec, engines: Sequence[Engine]) -> tuple[Engine, Container]:
    """The one engine that has the container, and the container.

    Raises NotFound when all say that there is none, UsageError when several have one, else NoConnection or Refused: an
    engine that could not be asked may have it.
    """
    name, places = spec.container, [engine.place for engine in engines]
    if len(engines) > 1 and not there(places):
        raise nowhere(name, places)
    said = await asyncio.gather(*(_ask(engine, name) for engine in engines))
    found = [(engine, one) for engine, one in zip(engines, said, strict=True) if isinstance(one, Container)]
    if len(found) > 1:
        one, other = (engine for engine, _ in found[:2])
        raise UsageError(
            f"cannot tell which container {name} is meant: {one.name} and {other.name} both have one; "
            f"write engine: {one.name}, or engine: {other.name}, in services.{spec.name}"
        )
    if found:
        return found[0]
    troubles = [one for one in said if isinstance(one, BlackholeError) and not isinstance(one, NotFound)]
    if troubles:
        raise troubles[0]
    raise NotFound(_none(name, [engine.name for engine in engines]))


async def _ask(engine: Engine, name: str) -> Container | BlackholeError:
    try:
        return await engine.inspect(name)
    except BlackholeError as error:
        return error


def _none(name: str, engines: Sequence[str]) -> str:
    shown = " nor ".join(engines) or "nobody"
    hint = " and ".join(f"`{engine} ps -a`" for engine in engines)
    return f"cannot find the container {name}: {shown} has none of that name; {hint} lists what there is"
