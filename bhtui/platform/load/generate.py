"""Requests to all five services at a steady rate, and faults in any of them."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from bhtui.rpc.blackhole.service.v1 import (
    faults_pb2,
    faults_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    indexer_pb2,
    indexer_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    storage_pb2,
    storage_pb2_grpc,
)

from ..clients import bearer, channel

SERVICES = ("identity", "storage", "ledger", "node", "indexer")
KINDS = {name.lower(): number for name, number in faults_pb2.InjectRequest.Kind.items() if number}
"""The faults by their names: crash, exit, hang, leak, slow, noise, errors, sick."""
DEADLINE = 5.0
MOST_OPEN = 64
"""Requests under way at once; when there are more, the rate is not kept and the report says so."""
NAMES = 200
WORDS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
]

Targets = Mapping[str, str]
"""The addresses of the services by their names."""


@dataclass(slots=True)
class Count:
    """Of one method."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    last_error: str = ""

    @property
    def mean(self) -> float:
        """Seconds a request took."""
        return self.seconds / max(1, self.done + self.failed)


@dataclass(slots=True)
class Report:
    """What was asked and answered. `skipped`: requests that were due and not made, because too many were open."""

    counts: dict[str, Count] = field(default_factory=dict)
    skipped: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        return sum(count.done for count in self.counts.values())

    @property
    def failed(self) -> int:
        return sum(count.failed for count in self.counts.values())

    def lines(self) -> list[str]:
        """A table."""
        head = f"{'method':<24}{'done':>8}{'failed':>8}{'mean ms':>9}{'max ms':>9}"
        rows = [
            f"{name:<24}{c.done:>8}{c.failed:>8}{c.mean * 1000:>9.1f}{c.slowest * 1000:>9.1f}  {c.last_error}".rstrip()
            for name, c in sorted(self.counts.items())
        ]
        rate = self.done / self.seconds if self.seconds else 0.0
        tail = f"{self.done} done, {self.failed} failed, {self.skipped} skipped; {rate:.1f} a second"
        return [head, *rows, tail]


class Generator:
    """One account's requests; `pick` decides which comes next, so that a run can be repeated."""

    def __init__(self, targets: Targets, pick: random.Random) -> None:
        self.pick = pick
        self.report = Report()
        self.channels = {name: channel(address) for name, address in targets.items()}
        self.identity = identity_pb2_grpc.IdentityStub(self.channels["identity"])
        self.storage = storage_pb2_grpc.StorageStub(self.channels["storage"])
        self.ledger = ledger_pb2_grpc.LedgerStub(self.channels["ledger"])
        self.node = node_pb2_grpc.NodeStub(self.channels["node"])
        self.indexer = indexer_pb2_grpc.IndexerStub(self.channels["indexer"])
        self.account = f"load-{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(16)
        self.token = ""
        self.works: list[tuple[str, int, Callable[[], Awaitable[object]]]] = [
            ("identity.Authenticate", 1, self.authenticate),
            ("storage.Put", 6, self.put),
            ("storage.Get", 8, self.get),
            ("storage.List", 2, self.list),
            ("ledger.Append", 3, self.append),
            ("ledger.Read", 2, self.read),
            ("node.Announce", 2, self.announce),
            ("node.Peers", 2, self.peers),
            ("indexer.Search", 4, self.search),
        ]

    async def sign_in(self) -> None:
        """Makes its account and gets a token. Raises grpc.aio.AioRpcError."""
        request = identity_pb2.RegisterRequest(name=self.account, password=self.password)
        await self.identity.Register(request, timeout=DEADLINE)
        await self.authenticate()

    async def authenticate(self) -> None:
        request = identity_pb2.AuthenticateRequest(name=self.account, password=self.password)
        self.token = (await self.identity.Authenticate(request, timeout=DEADLINE)).token

    def name(self) -> str:
        return f"{self.account}/{self.pick.randrange(NAMES):03}.txt"

    async def put(self) -> None:
        text = " ".join(self.pick.choices(WORDS, k=40))
        await self.storage.Put(storage_pb2.PutRequest(name=self.name(), data=text.encode()), **self._call())

    async def get(self) -> None:
        try:
            await self.storage.Get(storage_pb2.GetRequest(name=self.name()), **self._call())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:  # not stored yet is an answer
                raise

    async def list(self) -> None:
        await self.storage.List(storage_pb2.ListRequest(prefix=self.account, limit=20), **self._call())

    async def append(self) -> None:
        request = ledger_pb2.AppendRequest(kind="load", data=self.pick.choice(WORDS).encode())
        await self.ledger.Append(request, **self._call())

    async def read(self) -> None:
        await self.ledger.Read(ledger_pb2.ReadRequest(limit=20), **self._call())

    async def announce(self) -> None:
        request = node_pb2.AnnounceRequest(name=f"{self.account}-{self.pick.randrange(8)}", address="127.0.0.1:1")
        await self.node.Announce(request, **self._call())

    async def peers(self) -> None:
        await self.node.Peers(node_pb2.PeersRequest(), **self._call())

    async def search(self) -> None:
        query = " ".join(self.pick.sample(WORDS, 2))
        await self.indexer.Search(indexer_pb2.SearchRequest(query=query), **self._call())

    def _call(self) -> dict[str, Any]:
        return {"timeout": DEADLINE, "metadata": bearer(self.token)}

    async def one(self) -> None:
        """One request of any kind, counted."""
        name, _, work = self.pick.choices(self.works, [weight for _, weight, _ in self.works])[0]
        count = self.report.counts.setdefault(name, Count())
        start = time.perf_counter()
        try:
            await work()
            count.done += 1
        except grpc.aio.AioRpcError as error:
            count.failed += 1
            count.last_error = f"{error.code().name}: {error.details()}"[:100]
        took = time.perf_counter() - start
        count.seconds += took
        count.slowest = max(count.slowest, took)

    async def run(self, rate: float, duration: float, each_second: Callable[[Report], object] | None) -> Report:
        """Requests at the rate, however long each takes, until the duration is over."""
        open_requests: set[asyncio.Task[None]] = set()
        start, due, told = time.monotonic(), 0, 0
        try:
            while (passed := time.monotonic() - start) < duration:
                for _ in range(int(passed * rate) - due):
                    due += 1
                    if len(open_requests) >= MOST_OPEN:
                        self.report.skipped += 1
                        continue
                    task = asyncio.create_task(self.one())
                    open_requests.add(task)
                    task.add_done_callback(open_requests.discard)
                self.report.seconds = passed
                if each_second and int(passed) > told:
                    told = int(passed)
                    each_second(self.report)
                await asyncio.sleep(min(1 / rate, 0.05))
        finally:
            await asyncio.gather(*open_requests)
        self.report.seconds = time.monotonic() - start
        return self.report

    async def close(self) -> None:
        """Ends the connections."""
        for one in self.channels.values():
            await one.close()


async def run(
    targets: Targets,
    rate: float,
    duration: float,
    each_second: Callable[[Report], object] | None = None,
    seed: int | None = None,
) -> Report:
    """Works all five for `duration` seconds at `rate` requests a second.

    Raises grpc.aio.AioRpcError when it cannot sign in; what fails later is in the report.
    """
    generator = Generator(targets, random.Random(seed))  # noqa: S311 - which request comes next is no secret
    try:
        await generator.sign_in()
        return await generator.run(rate, duration, each_second)
    finally:
        await generator.close()


async def inject(address: str, kind: str, amount: int = 0, seconds: float = 0.0) -> str:
    """Begins a fault (or ends all, `clear`); what it is, in words. Raises grpc.aio.AioRpcError."""
    async with channel(address) as open_channel:
        faults = faults_pb2_grpc.FaultsStub(open_channel)
        if kind == "clear":
            await faults.Clear(faults_pb2.ClearFaultsRequest(), timeout=DEADLINE)
            return "no fault any more"
        number = faults_pb2.InjectRequest.Kind.Value(kind.upper())
        request = faults_pb2.InjectRequest(kind=number, amount=amount, seconds=seconds)
        return (await faults.Inject(request, timeout=DEADLINE)).detail
