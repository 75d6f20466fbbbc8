"""Where a command goes: this machine or a number of hosts at once, and what came back from each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import click

from bhtui.core.errors import BlackholeError, NoConnection, UsageError
from bhtui.core.paths import Paths
from bhtui.rpc.client import AgentClient
from bhtui.rpc.local import answers, boot, ensure_agent
from bhtui.rpc.stopped import Wake

from .settings import Settings

if TYPE_CHECKING:
    from bhtui.ssh.inventory import PrometheusAt

T = TypeVar("T")

RECONNECT_TIMEOUT = 30.0
"""Seconds that a command which waits for an operation waits for a lost agent."""


class Target(Protocol):
    """One host to act on."""

    name: str
    production: bool
    """Dangerous things want --yes or the host's name typed."""
    read_only: bool
    """Nothing may be changed there."""

    @property
    def prometheus(self) -> PrometheusAt | None:
        """Where samples are that its agent does not have, as hosts.yaml says. Raises ConfigError."""

    @property
    def doing(self) -> str:
        """How far the way to its agent is; changes as long as it gets on."""

    async def client(self) -> AgentClient:
        """A client whose agent answers. Raises NoConnection."""

    async def again(self) -> AgentClient:
        """The same after the connection was lost; starts nothing. Raises NoConnection."""

    async def stop(self, keep_services: bool) -> bool:
        """Ends services, agent and keeper, or the agent alone, and returns when they have ended; whether any ran.

        Raises BlackholeError.
        """

    async def socket(self, address: str, port: int) -> str:
        """A local socket behind which a port of the host answers; empty: it is this machine. Raises NoConnection."""

    async def layer(self, name: str) -> None:
        """Places libraries that the agent lacks. Raises BlackholeError."""

    async def boot(self, words: Sequence[str]) -> str:
        """Has the host's `bhtui.agent.boot` do something; what it said. Raises BlackholeError."""


class Local:
    """This machine; its agent is started when it is first needed, as far as `wake` allows."""

    production = False
    doing = ""

    def __init__(self, paths: Paths, read_only: bool = False, wake: Wake = Wake.UNLESS_STOPPED) -> None:
        self.name = os.uname().nodename
        self.read_only = read_only
        self._paths = paths
        self._wake = wake
        self._client: AgentClient | None = None

    async def client(self) -> AgentClient:
        if self._client is None:
            await asyncio.to_thread(ensure_agent, self._paths, self._wake)
            self._client = AgentClient(self._paths.agent_socket, read_only=self.read_only)
        return self._client

    async def again(self) -> AgentClient:
        deadline = time.monotonic() + RECONNECT_TIMEOUT
        while not answers(self._paths.agent_socket):
            if time.monotonic() > deadline:
                raise NoConnection(
                    f"cannot reach the agent: it is gone for {RECONNECT_TIMEOUT:.0f} s; see `blackhole agent status`"
                )
            await asyncio.sleep(0.05)
        return await self.client()

    async def stop(self, keep_services: bool) -> bool:
        from .halt import halt

        return await halt(self._paths, keep_services)

    @property
    def prometheus(self) -> PrometheusAt | None:
        from bhtui.ssh.inventory import LOCAL, load  # few verbs want to know, and it takes a moment

        return load(self._paths.config.parent / "hosts.yaml").find(LOCAL).prometheus

    async def socket(self, address: str, port: int) -> str:  # noqa: ARG002
        return ""

    async def layer(self, name: str) -> None:
        """An installation of its own has all of them; one that lacks some says so when it needs them."""

    async def boot(self, words: Sequence[str]) -> str:
        return await asyncio.to_thread(boot, words)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, wake: Wake = Wake.UNLESS_STOPPED, *, force: bool = False
) -> AsyncIterator[list[Target]]:
    """The targets that were asked for, connected when each is first used, closed with the block.

    `wake`: when an agent that does not run is started; `force`: other hosts' agents are replaced by this version's.
    """
    if not settings.remote:
        local = Local(settings.paths, settings.read_only, wake)
        try:
            yield [local]
        finally:
            await local.close()
        return
    from .remote import opened_remote

    async with opened_remote(settings, wake, force) as remote:
        yield list(remote)


@dataclass
class Answers(Generic[T]):
    """What came back, in the order of the targets, and what did not."""

    good: list[tuple[Target, T]] = field(default_factory=list)
    failed: list[tuple[Target, BlackholeError]] = field(default_factory=list)

    def report(self) -> int:
        """Names the failed hosts on stderr, with how to run again on those; the worst exit code, 0 when all is well."""
        for target, error in self.failed:
            click.echo(f"{target.name}: {error}", err=True)
        if self.failed and len(self.failed) + len(self.good) > 1:
            again = " ".join(f"--host {target.name}" for target, _ in self.failed)
            click.echo(
                f"{len(self.failed)} of {len(self.failed) + len(self.good)} hosts failed; run again on those: {again}",
                err=True,
            )
        return max((error.exit_code for _, error in self.failed), default=0)


async def everywhere(settings: Settings, targets: list[Target], act: Callable[[Target], Awaitable[T]]) -> Answers[T]:
    """Acts on all targets at once. One that fails never stops the others; a single local one just raises."""
    results = await asyncio.gather(*(act(target) for target in targets), return_exceptions=settings.remote)
    found: Answers[T] = Answers()
    for target, result in zip(targets, results, strict=True):
        if isinstance(result, BlackholeError):
            found.failed.append((target, result))
        elif isinstance(result, BaseException):
            raise result
        else:
            found.good.append((target, result))
    return found


def ask_all(settings: Settings, ask: Callable[[AgentClient], Coroutine[Any, Any, T]]) -> Answers[T]:
    """Asks every target's agent one question."""

    async def run() -> Answers[T]:
        async with opened(settings) as targets:
            return await everywhere(settings, targets, lambda target: _ask(target, ask))

    return asyncio.run(run())


async def _ask(target: Target, ask: Callable[[AgentClient], Coroutine[Any, Any, T]]) -> T:
    return await ask(await target.client())


def one(targets: list[Target], what: str) -> Target:
    """The only target. Raises UsageError when there are several."""
    if len(targets) != 1:
        raise UsageError(f"cannot {what} on {len(targets)} hosts at once; name one with --host")
    return targets[0]
