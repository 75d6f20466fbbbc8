"""The keeper as the agent sees it: one object for the agent's whole life, whatever happens to the process behind it.

The agent holds duplicates of every pipe and a pidfd of every process. When the connection ends, the keeper has died
(or dropped us for reading too slowly): a new one is started if there is none, every process it does not have is handed
over, and every end that was missed is told. The pipes are never read here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bhtui.agent.keeper.link import Answer, Link
from bhtui.agent.keeper.model import (
    Exit,
    KeeperError,
    KeeperLost,
    KeptProcess,
    Killed,
    Launch,
    Listener,
    LogSpec,
    Replaced,
    SpawnRequest,
    exit_from,
    process_from,
    to_adopt,
)
from bhtui.keeper import client as sync
from bhtui.keeper import wire

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
START_TIMEOUT_S = 20.0
NOTHING_AFTER = 1 << 62
"""A `list` of what comes after this is the shortest answer there is."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
UNKNOWN: dict[str, Any] = {"code": None, "signal": None, "unknown": True, "cpu_seconds": None, "max_rss_bytes": None}


class Keeper:
    """Made by `connect`, ended by `close` (services go on) or `shutdown`.

    Every call raises KeeperError when the keeper refuses and KeeperLost when it does not answer within `timeout`
    seconds; while a dead keeper is being replaced, calls wait for the new one.
    """

    def __init__(self, run_dir: Path, launch: Launch | None, listener: Listener) -> None:
        self.run_dir, self.pid, self.boot_id, self.version, self.held = run_dir, 0, "", "", False
        self._launch, self._listener = launch, listener
        self._processes: dict[str, KeptProcess] = {}
        self._fds: dict[str, dict[str, int]] = {}
        self._ended: dict[str, Exit] = {}
        self._own_fds: dict[str, int] = {}
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._closing = False
        self._restoring: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, run_dir: Path | str, *, launch: Launch | None = None, listener: Listener | None = None
    ) -> Keeper:
        """Connects to the keeper of that directory; with `launch` one is started when there is none."""
        keeper = cls(Path(run_dir), launch, listener or Listener())
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                await (keeper._reach_or_start() if launch else keeper._reach())
                return keeper
            except (OSError, KeeperError) as error:
                # A keeper that is just dying, or just starting, looks like none for a moment.
                if launch is None or time.monotonic() > deadline:
                    why = error.strerror if isinstance(error, OSError) else error
                    raise KeeperLost(f"cannot reach the keeper in {run_dir}: {why}", "connect") from error
            await asyncio.sleep(FIRST_PAUSE_S)

    # ---- what the agent asks -------------------------------------------------------------------------------------

    async def spawn(self, request: SpawnRequest, timeout: float = 15.0) -> KeptProcess:
        """Starts a process. The error of a failed step names it in `stage`. An end may be told before this returns."""
        answer, fds = await self._ask_fds("spawn", request.to_wire(), timeout=timeout)
        return self._hold(answer, fds)

    async def signal(self, key: str, number: int, *, group: bool = False) -> None:
        """Sends a signal to the process, or to its process group."""
        await self._ask("signal", {"key": key, "signal": number, "group": group})

    async def kill(self, key: str, timeout: float = 5.0) -> Killed:
        """Kills the whole tree of an instance; what is left after `timeout` seconds is told."""
        return _killed(await self._ask("kill", {"key": key, "timeout": timeout}, timeout=timeout + TIMEOUT_S))

    async def tree(self, key: str) -> tuple[int, ...]:
        """The processes of an instance now."""
        return tuple((await self._ask("tree", {"key": key}))["pids"])

    async def list(self) -> Sequence[KeptProcess]:
        """Everything the keeper keeps, oldest first: also ended processes that were not forgotten yet."""
        return await self._list(await self._wait_link(TIMEOUT_S))

    async def forget(self, key: str) -> None:
        """Drops an ended process; one that the keeper does not know is forgotten already."""
        try:
            await self._ask("forget", {"key": key})
        except KeeperError as error:
            if error.stage != "key":
                raise
        self._release(key)

    async def emergency(self) -> Killed:
        """Kills everything at once; spawn is refused until `resume`."""
        killed = _killed(await self._ask("emergency"))
        self.held = True
        return killed

    async def resume(self) -> None:
        """Allows spawn again."""
        await self._ask("resume")
        self.held = False

    async def sweep(self, timeout: float = 5.0) -> Killed:
        """Kills processes that an earlier keeper left and nobody adopted, so that nothing ever runs twice."""
        return _killed(await self._ask("sweep", {"timeout": timeout}, timeout=timeout + TIMEOUT_S))

    async def agent(self, action: str, argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> None:
        """Stops, starts or restarts the agent (this process, if it is the keeper's)."""
        await self._ask("agent", {"action": action, "argv": argv, "env": env})

    async def upgrade(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        agent_argv: Sequence[str] | None = None,
        agent_env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> str:
        """Lets the keeper go on as another program, returns its version; with `agent_argv` the agent is restarted."""
        agent = {"argv": agent_argv, "env": agent_env} if agent_argv else None
        answer = await self._ask("upgrade", {"argv": list(argv), "env": env, "agent": agent}, timeout=timeout)
        self.version = answer["version"]
        return self.version

    async def shutdown(self, *, force: bool = False) -> Killed:
        """Ends the agent and the keeper. Refused while services run unless `force`, which kills them."""
        self._closing = True
        try:
            return _killed(await self._ask("shutdown", {"force": force}))
        except KeeperError:
            self._closing = False
            raise

    async def rotate(self, key: str) -> None:
        """Begins a new log file now."""
        await self._ask("rotate", {"key": key})

    async def bound(self, key: str, log: LogSpec) -> None:
        """Other bounds for the log of a process, if they are others, from now on."""
        process = self._processes.get(key)
        if process is None or process.log == log:
            return
        await self._ask("bound", {"key": key, "log": asdict(log)})
        self._processes[key] = replace(process, log=log)

    async def stats(self) -> dict[str, Any]:
        """Counts of each log, descriptors, uptime of the keeper."""
        return await self._ask("stats")

    async def answers(self, timeout: float) -> bool:
        """Whether it answers a question in so many seconds; one that is just being replaced counts as answering."""
        link = self._link
        if link is None or not self._linked.is_set():
            return True
        try:
            await link.ask("list", {"after": NOTHING_AFTER}, (), timeout)
        except KeeperLost:
            return not link.is_open
        return True

    def pidfd(self, key: str) -> int | None:
        """The pidfd of a process, which stays this object's; None for an unknown key."""
        return self._fds.get(key, {}).get("pidfd")

    async def close(self) -> None:
        """Lets go of the keeper; everything goes on without us."""
        self._closing = True
        if self._restoring:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)
        if self._link:
            self._link.close()
        for key in list(self._processes):
            self._release(key)
        wire.close_all(self._own_fds.values())
        self._own_fds = {}

    # ---- requests ------------------------------------------------------------------------------------------------

    async def _ask(self, op: str, fields: dict[str, Any] | None = None, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        answer, fds = await self._ask_fds(op, fields or {}, timeout=timeout)
        wire.close_all(fds)
        return answer

    async def _ask_fds(self, op: str, fields: dict[str, Any], timeout: float) -> Answer:
        link = await self._wait_link(timeout)
        return await link.ask(op, fields, (), timeout)

    async def _wait_link(self, timeout: float) -> Link:
        try:
            async with asyncio.timeout(timeout):
                await self._linked.wait()
        except TimeoutError:
            raise KeeperLost(f"cannot reach the keeper: it has been gone for {timeout:g} s", "connect") from None
        assert self._link is not None
        return self._link

    async def _list(self, link: Link) -> Sequence[KeptProcess]:
        found = []
        after, more = 0, True
        while more:
            *entries, (end, _) = await link.ask_many("list", {"after": after}, (), TIMEOUT_S)
            for message, fds in entries:
                process = message["process"]
                after = process["order"]
                found.append(self._hold({**process, "fds": message["fds"]}, fds))
            more = end["more"]
        return found

    # ---- what is held --------------------------------------------------------------------------------------------

    def _hold(self, answer: dict[str, Any], fds: Sequence[int]) -> KeptProcess:
        """Remembers a process with its descriptors, so that the next keeper can have it."""
        process = process_from(answer).dated(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        wire.close_all(self._fds.pop(process.key, {}).values())
        self._processes[process.key] = replace(process, exit=process.exit or self._ended.get(process.key))
        self._fds[process.key] = dict(zip(answer["fds"], fds, strict=True))
        return process

    def _release(self, key: str) -> None:
        self._processes.pop(key, None)
        self._ended.pop(key, None)
        wire.close_all(self._fds.pop(key, {}).values())

    def _on_event(self, message: dict[str, Any], fds: Sequence[int]) -> None:
        if "spawned_ns" in message and fds:
            self._hold(message, fds)  # a spawn that we gave up waiting for has worked after all
            return
        wire.close_all(fds)
        match message.get("event"):
            case "exited":
                known = self._processes.get(message["key"])
                self._exited(exit_from(message["exit"], {**message, "start": known.start if known else 0}))
            case "terminate":
                self._call(self._listener.terminate)
            case "emergency":
                self.held = True
                self._call(self._listener.emergency, message["uid"], message["pid"])

    def _exited(self, exit_: Exit) -> None:
        if exit_.key in self._ended:
            return
        self._ended[exit_.key] = exit_
        process = self._processes.get(exit_.key)
        if process is not None:
            self._processes[exit_.key] = replace(process, exit=exit_)
        self._call(self._listener.exited, exit_)

    def _call(self, callback: Any, *arguments: Any) -> None:
        """Through the loop, so that a fault of the listener is reported by it and reaches nobody else."""
        asyncio.get_running_loop().call_soon(callback, *arguments)

    # ---- connecting, and another keeper --------------------------------------------------------------------------

    async def _reach(self) -> Replaced:
        """Connects and brings the keeper's table and ours together. Raises OSError when none listens."""
        link = await Link.open(sync.socket_path(self.run_dir), self._on_event, self._on_end)
        try:
            about, fds = await link.ask("hello", {"events": True}, (), TIMEOUT_S)
            old, self.pid, self.held = self.pid, about["pid"], about["held"]
            self.boot_id, self.version = about["boot"], about["version"]
            await self._give_own_pipes(link, dict(zip(about["fds"], fds, strict=True)))
            adopted, lost = await self._merge(link)
        except BaseException:
            link.close()
            raise
        self._link = link
        if not link.is_open:
            raise ConnectionResetError("the keeper died again")
        self._linked.set()
        return Replaced(old, self.pid, tuple(adopted), lost)

    async def _give_own_pipes(self, link: Link, fds: dict[str, int]) -> None:
        """Our own output goes through the keeper too; a successor gets it from us."""
        if not self._own_fds:
            self._own_fds = fds
            return
        wire.close_all(fds.values())
        pipes = {name: fd for name, fd in self._own_fds.items() if name != "pidfd"}
        if "stdout" not in fds and pipes:
            await link.ask("adopt", {"agent": True, "fds": list(pipes)}, list(pipes.values()), TIMEOUT_S)

    async def _merge(self, link: Link) -> tuple[Sequence[str], dict[str, str]]:
        """Hands over what the keeper does not have, and tells of every end that we have not heard of."""
        ours = {key: process for key, process in self._processes.items() if process.exit is None}
        theirs = {process.key: process for process in await self._list(link)}
        adopted, lost = [], {}
        for key, process in ours.items():
            known = theirs.get(key)
            if known is None:
                try:
                    await self._adopt(link, process)
                    adopted.append(key)
                except KeeperLost:
                    raise
                except KeeperError as error:
                    lost[key] = str(error)
                    self._exited(exit_from({**UNKNOWN, "time_ns": time.time_ns()}, to_adopt(process, [])))
            elif known.exit is not None:
                self._exited(known.exit)
        return adopted, lost

    async def _adopt(self, link: Link, process: KeptProcess) -> None:
        held = self._fds[process.key]
        _, fds = await link.ask("adopt", to_adopt(process, list(held)), list(held.values()), TIMEOUT_S)
        wire.close_all(fds)

    def _on_end(self) -> None:
        if self._linked.is_set() and not self._closing:
            self._linked.clear()
            self._restoring = asyncio.get_running_loop().create_task(self._restore())

    async def _restore(self) -> None:
        """Until there is a keeper again."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                replaced = await self._reach_or_start()
                break
            except (OSError, KeeperError) as error:
                log.warning("the keeper is gone and not replaced yet: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        if replaced.old_pid != replaced.new_pid:
            self._call(self._listener.replaced, replaced)

    async def _reach_or_start(self) -> Replaced:
        try:
            return await self._reach()
        except (OSError, KeeperLost):
            await self._start()
            return await self._reach()

    async def _start(self) -> None:
        """Starts a keeper that watches this process instead of starting an agent. Raises KeeperError."""
        if self._launch is None:
            raise KeeperError("cannot start a keeper: not told how", "start")
        argv = sync.start_argv(self.run_dir, self._launch.log_dir, self._launch.agent_argv, os.getpid())
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                _, said = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise KeeperError(f"cannot start a keeper: no answer within {START_TIMEOUT_S:g} s", "start") from None
        if process.returncode:
            raise KeeperError(said.decode(errors="replace").strip() or "cannot start a keeper", "start")


def _killed(answer: dict[str, Any]) -> Killed:
    return Killed(answer["killed"], tuple(answer["remaining"]))
