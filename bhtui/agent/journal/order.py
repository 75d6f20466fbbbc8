"""Which steps may run next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set


class Order:
    """Counts for each step how many of those before it are still to finish."""

    def __init__(self, after: Mapping[int, Iterable[int]], finished: Set[int] = frozenset()) -> None:
        self._left = {step: len(set(before) - finished) for step, before in after.items() if step not in finished}
        self._followers: dict[int, list[int]] = {}
        for step in self._left:
            for before in set(after[step]) - finished:
                self._followers.setdefault(before, []).append(step)

    def ready(self) -> list[int]:
        """Steps that wait for nothing."""
        return [step for step, left in self._left.items() if left == 0]

    def finish(self, step: int) -> list[int]:
        """Takes note that a step has finished; the steps that wait for nothing any more because of it."""
        freed = []
        for follower in self._followers.pop(step, ()):
            self._left[follower] -= 1
            if self._left[follower] == 0:
                freed.append(follower)
        return freed


def reverse(after: Sequence[Iterable[int]], first: Set[int] = frozenset()) -> dict[int, list[int]]:
    """The order of undoing: each step comes after all that came after it; `first` come before all others."""
    followers: dict[int, list[int]] = {step: [] if step in first else sorted(first) for step in range(len(after))}
    for step, before in enumerate(after):
        for other in set(before) - first:
            followers[other].append(step)
    return {step: list(dict.fromkeys(others)) for step, others in followers.items()}


def fault(after: Sequence[Iterable[int]]) -> str:
    """What is wrong with an order: a step that does not exist, or a circle; empty when nothing is."""
    for step, before in enumerate(after):
        for other in before:
            if not 0 <= other < len(after):
                return f"step {step} comes after step {other}, which does not exist"
    order = Order(dict(enumerate(after)))
    todo = order.ready()
    passed = 0
    while todo:
        passed += 1
        todo += order.finish(todo.pop())
    return "" if passed == len(after) else "some steps wait for each other in a circle"
