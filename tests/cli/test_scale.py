"""`blackhole scale`, run as a program against a fake agent."""

from __future__ import annotations

import pytest

from .conftest import Home
from .fake_agent import FakeAgent


async def test_by_hand(home: Home, agent: FakeAgent) -> None:
    assert (await home.blackhole("scale", "api", "--replicas", "3")).code == 0
    assert (await home.blackhole("scale", "api", "--reset")).code == 0
    by_hand, reset = (each.scale for each in agent.begun)
    assert (list(by_hand.services), by_hand.replicas) == (["api"], 3)
    assert not reset.HasField("replicas")


async def test_by_load(home: Home, agent: FakeAgent) -> None:
    for words in (
        ["--auto", "--min", "1", "--max", "5"],
        ["--cpu-threshold", "80", "--mem-threshold", "90"],
        ["api", "--no-auto"],
    ):
        assert (await home.blackhole("scale", *words)).code == 0
    first, second, third = (each.auto_scale for each in agent.begun)
    assert (list(first.services), first.auto, first.min, first.max) == ([], True, 1, 5)
    assert not first.HasField("cpu_threshold")
    assert (second.auto, second.cpu_threshold, second.memory_threshold) == (True, 80, 90)
    assert not second.HasField("max")
    assert (list(third.services), third.auto) == (["api"], False)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "give one of --replicas N, --reset, and --auto"),
        (["api"], "give one of"),
        (["api", "--replicas", "2", "--auto"], "give one of"),
        (["api", "--replicas", "2", "--min", "1"], "give one of"),
        (["api", "--reset", "--no-auto"], "give one of"),
        (["--replicas", "2"], "name at least one service"),
        (["--auto", "--min", "0"], "0 is not in the range"),
        (["--auto", "--max", "1001"], "1001 is not in the range"),
        (["--mem-threshold", "101"], "101.0 is not in the range"),
        (["--cpu-threshold", "hot"], "'hot' is not a valid float range"),
    ],
)
async def test_wrong_words_are_2(home: Home, agent: FakeAgent, words: list[str], text: str) -> None:
    ran = await home.blackhole("scale", *words)
    assert ran.code == 2
    assert text in ran.err
    assert agent.begun == []
