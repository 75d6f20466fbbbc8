"""The order of steps, forward and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.journal.order import Order, fault, reverse

orders = st.integers(0, 12).flatmap(
    lambda count: st.tuples(*(st.sets(st.integers(0, max(0, at - 1)), max_size=at) for at in range(count)))
)


def run(after) -> list[int]:
    order = Order(after)
    ran, todo = [], order.ready()
    while todo:
        step = todo.pop()
        ran.append(step)
        todo += order.finish(step)
    return ran


@given(orders)
def test_every_step_once_and_after_what_it_needs(after) -> None:
    forward = run(dict(enumerate(after)))
    assert sorted(forward) == list(range(len(after)))
    assert all(forward.index(before) < forward.index(step) for step, many in enumerate(after) for before in many)
    back = run(reverse(after))
    assert all(back.index(before) > back.index(step) for step, many in enumerate(after) for before in many)
    assert not fault(after)


@given(orders, st.data())
def test_taken_up_in_the_middle(after, data) -> None:
    whole = run(dict(enumerate(after)))
    finished = set(whole[: data.draw(st.integers(0, len(whole)))])
    order = Order(dict(enumerate(after)), finished)
    todo, ran = order.ready(), []
    while todo:
        ran.append(todo.pop())
        todo += order.finish(ran[-1])
    assert set(ran) == set(whole) - finished and len(ran) == len(set(ran))


def test_faults() -> None:
    assert fault([(1,), (0,)]) == "some steps wait for each other in a circle"
    assert fault([(0,)]) == "some steps wait for each other in a circle"
    assert fault([(), (2,)]) == "step 1 comes after step 2, which does not exist"
    assert fault([(-1,)]) == "step 0 comes after step -1, which does not exist"


@given(orders, st.data())
def test_some_are_undone_before_all_others(after, data) -> None:
    first = data.draw(st.sets(st.sampled_from(range(len(after))))) if after else set()
    back = run(reverse(after, first))
    assert sorted(back) == list(range(len(after)))
    assert set(back[: len(first)]) == first
    rest = [(step, before) for step, many in enumerate(after) for before in many if not {step, before} & first]
    assert all(back.index(before) > back.index(step) for step, before in rest)
