"""Work in a thread that is done before a cancel is felt."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bhtui.agent.blocking import to_the_end


async def test_it_gives_back_what_it_made_and_what_went_wrong() -> None:
    assert await to_the_end(int, "12", base=8) == 10
    with pytest.raises(ValueError, match="invalid literal"):
        await to_the_end(int, "x")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancel_waits_for_its_end(fails: bool) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        begun.set()
        go_on.wait(60)
        done.append("whole")
        if fails:
            raise OSError("no room")

    task = asyncio.create_task(to_the_end(work))
    await asyncio.to_thread(begun.wait, 60)
    for _ in range(3):  # however often it is asked
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["whole"]
