"""Batches on their way to a view: bounded, in turn, and held back for a reader."""

import asyncio

from bhtui.console.sources.intake import WAITING, Intake
from bhtui.rpc.blackhole.v1 import logs_pb2
from tests.waiting import eventually


def batch(number):
    return logs_pb2.LogBatch(scanned=number)


class View:
    def __init__(self):
        self.got = []
        self.may = asyncio.Event()
        self.may.set()

    async def allowed(self):
        await self.may.wait()


async def test_every_batch_arrives_in_the_order_of_its_host_and_no_host_holds_up_another():
    view = View()
    intake = Intake(["a", "b"], list, lambda: False)
    worker = asyncio.create_task(intake.run(view.got.extend, view.allowed))

    async def feed(host):
        for number in range(100):
            await intake.put(host, batch(number))

    await asyncio.gather(feed("a"), feed("b"))
    await eventually(lambda: len(view.got) == 200)
    for host in "ab":
        assert [sent.scanned for name, sent in view.got if name == host] == list(range(100))
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def test_who_must_not_be_given_more_holds_the_hosts_up():
    view = View()
    view.may.clear()
    intake = Intake(["a"], list, lambda: False)
    worker = asyncio.create_task(intake.run(view.got.extend, view.allowed))
    put = 0

    async def feed():
        nonlocal put
        while True:
            await intake.put("a", batch(put))
            put += 1

    feeder = asyncio.create_task(feed())
    await eventually(lambda: put == WAITING)
    await asyncio.sleep(0.05)
    assert put == WAITING
    view.may.set()
    await eventually(lambda: len(view.got) > 100)
    for task in (worker, feeder):
        task.cancel()
    await asyncio.gather(worker, feeder, return_exceptions=True)


async def test_what_a_step_holds_back_is_asked_for_again():
    asked = 0

    def step(batches):
        nonlocal asked
        asked += 1
        return batches

    intake = Intake(["a"], step, lambda: 0 < asked < 4)
    worker = asyncio.create_task(intake.run(lambda _: None, View().allowed))
    await intake.put("a", batch(1))
    await eventually(lambda: asked == 4)
    await asyncio.sleep(0.1)
    assert asked == 4  # nothing waits any more, so nothing is done
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
