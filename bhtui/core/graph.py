"""The dependency graph of services: levels in start order, closures, cycles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set


def find_cycle(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """One cycle as `(a, b, a)`, or `()`. Names that are not keys are ignored."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        stack = [(start, iter(needs[start]))] if start not in done else []
        if stack:
            path.append(start)
        while stack:
            rest = stack[-1][1]
            following = next((n for n in rest if n in needs and n not in done), None)
            if following is None:
                stack.pop()
                done.add(path.pop())
            elif following in path:
                return (*path[path.index(following) :], following)
            else:
                path.append(following)
                stack.append((following, iter(needs[following])))
    return ()


def levels(needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Names grouped so that each needs only names of earlier groups; stop in the reverse order.

    Needs outside the mapping are ignored. Raises ValueError when there is a cycle.
    """
    left = {name: {n for n in wanted if n in needs} for name, wanted in needs.items()}
    result: list[list[str]] = []
    while left:
        level = [name for name, wanted in left.items() if not wanted]
        if not level:
            raise ValueError("dependency cycle: " + " -> ".join(find_cycle(needs)))
        result.append(level)
        gone = set(level)
        left = {name: wanted - gone for name, wanted in left.items() if name not in gone}
    return result


def closure(needs: Mapping[str, Iterable[str]], names: Iterable[str]) -> Set[str]:
    """The names and everything they need, directly or not."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in needs and name not in found:
            found.add(name)
            todo.extend(needs[name])
    return found


def dependents(needs: Mapping[str, Iterable[str]], names: Iterable[str]) -> Set[str]:
    """The names and everything that needs them, directly or not."""
    reverse: dict[str, list[str]] = {name: [] for name in needs}
    for name, wanted in needs.items():
        for n in wanted:
            if n in reverse:
                reverse[n].append(name)
    return closure(reverse, names)
