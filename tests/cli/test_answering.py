"""Which hosts are waited for, and which come behind the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from bhtui.cli.settings import Settings
from bhtui.cli.verbs.logs.answering import answers_of, called
from bhtui.core.errors import NoConnection

SEVERAL = Settings.__new__(Settings)
"""Nothing is asked of the settings for several hosts."""


@dataclass(eq=False)
class Host:
    """Answers when it is let."""

    name: str
    answer: Any = "client"
    doing: str = ""
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self) -> Any:
        await self.may.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def hosts(*names: str) -> list[Any]:
    return [Host(name) for name in names]


async def test_all_that_answer_are_waited_for_and_who_fails_is_named() -> None:
    one, other = hosts("one", "other")
    other.answer = NoConnection("it is away")
    one.may.set()
    other.may.set()
    async with called(SEVERAL, [one, other]) as (reached, mute):
        assert [target.name for target, _ in reached.good] == ["one"]
        assert [target.name for target, _ in reached.failed] == ["other"]
        assert not mute


async def test_who_is_mute_comes_behind_the_others() -> None:
    one, other, third = hosts("one", "other", "third")
    one.may.set()
    async with called(SEVERAL, [one, other, third], patience=0.01) as (reached, mute):
        assert [target.name for target, _ in reached.good] == ["one"]
        assert [target.name for target in mute] == ["other", "third"]
        third.answer = NoConnection("it is away")
        third.may.set()
        said = answers_of(mute)
        target, answer = await anext(said)
        assert (target.name, str(answer)) == ("third", "it is away")
        other.may.set()
        target, answer = await anext(said)
        assert (target.name, str(answer)) == ("other", "client")
        assert [each async for each in said] == []


async def test_who_gets_on_is_waited_for() -> None:
    one, other = hosts("one", "other")
    one.may.set()

    async def get_on() -> None:
        for step in range(30):
            other.doing = f"sending the agent: {step} %"
            await asyncio.sleep(0.1)
        other.may.set()

    task = asyncio.create_task(get_on())
    async with called(SEVERAL, [one, other], patience=2.0) as (reached, mute):
        assert len(reached.good) == 2
        assert not mute
    await task


async def test_nobody_is_mute_before_somebody_has_answered() -> None:
    one, other = hosts("one", "other")
    loop = asyncio.get_running_loop()
    loop.call_later(0.5, one.may.set)
    loop.call_later(0.5, other.may.set)
    async with called(SEVERAL, [one, other], patience=0.01) as (reached, mute):
        assert reached.good
        assert len(reached.good) + len(mute) == 2


async def test_calls_end_with_the_block() -> None:
    one, other = hosts("one", "other")
    one.may.set()
    with pytest.raises(KeyError):
        async with called(SEVERAL, [one, other], patience=0.01) as (_, mute):
            raise KeyError
    assert mute[other].cancelled()
