"""How services are stopped with what depends on them, and started again: around something done to their data. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bhtui.core import graph
from bhtui.core.operation import Plan
from bhtui.core.spec import Spec
from bhtui.core.states import Goal, State

from .builder import Builder
from .gates import Picture
from .naming import needs_of, resolve


def around(spec: Spec, picture: Picture, services: Sequence[str]) -> tuple[Plan, int]:
    """The first steps, as many as the number says, stop; the others start what was up. Undone, a stop starts again.

    Raises NotFound.
    """
    known = [name for name in services if name in spec.services]
    resolve(services, spec.services, picture)
    taken = graph.dependents(needs_of(spec.services), known)
    names = [name for name, i in picture.items() if i.service in taken and i.state is not State.STOPPED]
    b = Builder(spec.services, picture)
    b.stop(names, restore=True)
    stops = len(b.steps)
    b.start([n for n in names if picture[n].goal is Goal.UP and not picture[n].completed and picture[n].declared], {})
    others = [each for each in spec.services if each in taken and each not in known and _is_up(picture, each)]
    down = [each for each in known if not _is_up(picture, each)]
    effects = [f"{' and '.join(others)} {'are' if len(others) > 1 else 'is'} stopped and started too"] if others else []
    effects += [f"{each} is down and left so; start it with `blackhole start {each}`" for each in down
                if not any(name.rpartition("-")[0] == each for name in b.starts)]  # fmt: skip
    return b.build("around", tuple(services), effects), stops


def _is_up(picture: Picture, service: str) -> bool:
    return any(i.service == service and i.goal is Goal.UP for i in picture.values())
