"""What else will be noticed of a plan, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bhtui.core.spec import Spec
from bhtui.core.states import State

from .gates import Picture
from .instance import Instance


def already(word: str, names: Sequence[str]) -> list[str]:
    return [f"already {word}: {', '.join(dict.fromkeys(names))}"] if names else []


def stay_up(spec: Spec, picture: Picture, names: Iterable[str]) -> list[str]:
    """Who depends on what goes down, and stays up."""
    down = {picture[n].service for n in names if n in picture}
    up = {i.service for i in picture.values() if _counts_as_up(i)} - down
    effects = []
    for service in spec.services:
        missed = [need for need in spec.services[service].depends_on if need in down]
        if service in up and missed:
            effects.append(f"{service} depends on {' and '.join(missed)} and stays up")
    return effects


def _counts_as_up(i: Instance) -> bool:
    return i.state in (State.STARTING, State.RUNNING)
