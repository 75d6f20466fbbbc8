"""The dependency graph: levels, closures, cycles."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.graph import closure, dependents, find_cycle, levels

NAMES = "abcdefgh"
graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4))


@given(graphs)
def test_either_there_is_a_cycle_or_there_are_levels(needs: dict[str, list[str]]) -> None:
    cycle = find_cycle(needs)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in needs[before] for before, after in pairwise(cycle))
        return
    order = levels(needs)
    rank = {name: number for number, level in enumerate(order) for name in level}
    assert set(rank) == set(needs)
    assert all(rank[n] < rank[name] for name in needs for n in needs[name] if n in needs)


@given(graphs, st.sampled_from(NAMES))
def test_dependents_are_the_closure_seen_from_the_other_side(needs: dict[str, list[str]], name: str) -> None:
    assert {n for n in needs if name in closure(needs, [n])} == dependents(needs, [name])


def test_a_cycle_is_shown_as_one_walks_it() -> None:
    assert find_cycle({"web": ["api"], "api": ["db"], "db": ["api"]}) == ("api", "db", "api")
