"""The transition table."""

from __future__ import annotations

from bhtui.core.states import ALIVE, EDGES, SETTLED, State


def test_every_state_has_a_row_and_a_way_out() -> None:
    assert set(EDGES) == set(State)
    assert all(EDGES[state] for state in State)


def test_no_state_leads_to_itself() -> None:
    assert all(state not in EDGES[state] for state in State)


def test_from_everywhere_one_gets_to_stopped() -> None:
    for start in State:
        reached, todo = {start}, [start]
        while todo:
            for following in EDGES[todo.pop()] - reached:
                reached.add(following)
                todo.append(following)
        assert State.STOPPED in reached


def test_a_process_that_exists_is_never_forgotten_without_an_end() -> None:
    assert State.WAITING not in {following for state in ALIVE - {State.STOPPING} for following in EDGES[state]}
    assert State.STOPPING not in SETTLED
