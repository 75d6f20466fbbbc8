"""One instance at a time: each step after the one before, so that the next waits until the last is healthy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from bhtui.core import graph
from bhtui.core.spec import LimitsSpec
from bhtui.core.states import Goal

from .builder import Builder
from .gates import is_well
from .instance import Instance
from .naming import needs_of


@dataclass(frozen=True, slots=True)
class Turns:
    """What is done with whom; one may be in several, and is then stopped, started and signalled in this order."""

    stops: Set[str] = frozenset()
    starts: Set[str] = frozenset()
    reloads: Set[str] = frozenset()
    holds: Mapping[str, LimitsSpec] = field(default_factory=dict)
    """Other limits for what runs on."""

    @property
    def names(self) -> Set[str]:
        return {*self.stops, *self.starts, *self.reloads, *self.holds}


def roll(b: Builder, turns: Turns, first: Sequence[str] = (), after: Iterable[int] = (), restore: bool = False) -> None:
    """Adds the steps in `order`, the first of them after `after`. `restore`: a stop that is undone starts it again."""
    b.again |= {n for n in turns.stops & turns.starts if b.picture[n].spec.is_foreign}
    chain = tuple(after)
    before = set(chain)  # what all later steps come after anyway
    for name in order(b, turns, first):
        if name in turns.stops and name not in b.again:
            # The only one has nobody that could stand in for it meanwhile.
            drained = b.drain(name, chain) if b.picture[name].spec.replicas > 1 else ()
            chain = (b.stop_step(name, (*chain, *drained), restore=restore),)
        if name in turns.starts and name not in b.starts:
            gates = set(b.gates(name)) - before
            chain = (b.start_step(name, b.spec_of(name), {}, {*chain, *gates}),)
        if name in turns.holds:
            chain = (b.hold_step(name, turns.holds[name], chain),)
        if name in turns.reloads:
            chain = (b.reload_step(name, b.spec_of(name), chain),)
        before |= {*chain}


def order(b: Builder, turns: Turns, first: Sequence[str] = ()) -> list[str]:
    """Those named first, then what is started or goes on, what others depend on before them, then what ends.

    Of a service what is not well goes first: the others do its work meanwhile, and stay when it fails again.
    """
    levels = graph.levels(needs_of(b.services))
    going = [n for level in levels for service in level for n in _unwell_first(b, service)]
    ending = {n: b.picture[n] for n in turns.names if n not in going}
    needs = needs_of({i.service: i.spec for i in ending.values()})
    ends = [n for level in reversed(graph.levels(needs)) for n, i in ending.items() if i.service in level]
    return [n for n in dict.fromkeys([*first, *going, *ends]) if n in turns.names]


def _unwell_first(b: Builder, service: str) -> list[str]:
    return sorted(b.services[service].instance_names(), key=lambda name: _is_well(b.picture.get(name)))


def _is_well(i: Instance | None) -> bool:
    """Also what is down by intent, and what is not there yet: both do no work that could be lost."""
    return i is None or i.goal is Goal.DOWN or is_well(i)
