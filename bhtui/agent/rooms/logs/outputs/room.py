"""The agent's side of the outputs: begins the forwarder, knows how each output is, and makes events of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bhtui.agent.memory import Tell
from bhtui.core import codec
from bhtui.core.event import EventKind
from bhtui.core.outputs import OutputSpec, OutputStatus
from bhtui.core.sending import trouble_text
from bhtui.core.spec import Spec
from bhtui.core.units import format_time

from .verdicts import Told, judge

log = logging.getLogger(__name__)

MODULE = "bhtui.agent.rooms.logs.outputs.forwarder"
SILENCE_SECONDS = 30.0
"""A forwarder that says nothing for so long is stuck; it is ended and begun anew."""
END_SECONDS = 5.0
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
LINE_LIMIT = 4 << 20


class Outputs:
    """One forwarder while the configuration in force has outputs, none otherwise."""

    def __init__(
        self, logs: Path, state: Path, host: str, version: str, tell: Tell, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._logs, self._state, self._host, self._version = logs, state / "outputs", host, version
        self._tell, self._clock = tell, clock
        self._specs: dict[str, OutputSpec] = {}
        self._log_level = "info"
        self._begun_ns = clock()
        self._status: dict[str, OutputStatus] = {}
        self._told: dict[str, Told] = {}
        self._changed = asyncio.Event()
        self._process: Process | None = None

    def follow(self, spec: Spec) -> None:
        """As this configuration wants it, from now on; an output that is new begins with what is captured from now."""
        specs = {each.name: each for each in spec.outputs}
        if specs == self._specs and spec.log_level == self._log_level:
            return
        self._specs, self._log_level, self._begun_ns = specs, spec.log_level, self._clock()
        self._status = {name: self._fresh(each) for name, each in specs.items()}
        self._told = {name: self._told.get(name, Told()) for name in specs}
        self._changed.set()

    def _fresh(self, spec: OutputSpec) -> OutputStatus:
        before = self._status.get(spec.name)
        return before if before is not None else OutputStatus(spec.name, spec.type, "")

    @property
    def status(self) -> tuple[OutputStatus, ...]:
        """How each output is, in the order of the configuration."""
        return tuple(self._status[name] for name in self._specs)

    @property
    def notes(self) -> list[str]:
        """A line for each that has failed or lagged for longer than it may."""
        now_ns = self._clock()
        return [
            f"{trouble_text(f'output {name}', self._status[name], told.bad, now_ns)}; blackhole logs outputs tells more"
            for name, told in self._told.items()
            if told.bad and name in self._status
        ]

    def figures(self) -> dict[str, list[tuple[tuple[str, ...], float]]]:
        """For the Prometheus endpoint: labels and value, by metric."""
        results = ("sent", "retried", "dropped", "dead_lettered")
        all_of = self.status
        return {
            "blackhole_log_output_up": [((one.name,), float(not one.failing_since_ns)) for one in all_of],
            "blackhole_log_output_lines_total": [
                ((one.name, result), getattr(one, result)) for one in all_of for result in results
            ],
            "blackhole_log_output_sent_bytes_total": [((one.name,), one.sent_bytes) for one in all_of],
            "blackhole_log_output_behind_bytes": [((one.name,), one.behind_bytes) for one in all_of],
            "blackhole_log_output_behind_seconds": [((one.name,), one.behind_seconds) for one in all_of],
        }

    async def watch(self) -> None:
        """Runs for as long as the agent does: a task of the wiring."""
        delay = FIRST_DELAY
        try:
            while True:
                self._changed.clear()
                if not self._specs:
                    await self._changed.wait()
                    continue
                begun = time.monotonic()
                why = await self._forward()
                if self._changed.is_set():
                    delay = FIRST_DELAY
                    continue
                delay = FIRST_DELAY if time.monotonic() - begun > LONGEST_DELAY else min(delay * 2, LONGEST_DELAY)
                self._fail(why)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), delay)
        finally:
            await self._end()

    async def _forward(self) -> str:
        """One forwarder from its start to its end, or until the configuration changes; why it ended by itself."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", MODULE, stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT, start_new_session=True
            )
        except OSError as error:
            return f"it cannot be started: {error.strerror}"
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._order())
        reading = asyncio.create_task(self._read(process.stdout), name="what the forwarder says")
        changing = asyncio.create_task(self._changed.wait(), name="another configuration")
        try:
            await asyncio.wait({reading, changing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, changing):
                task.cancel()
            await asyncio.gather(reading, changing, return_exceptions=True)
            code = await self._end()
        return f"it ended with {code}"

    def _order(self) -> bytes:
        order = {
            "logs": str(self._logs), "state": str(self._state), "begun_ns": self._begun_ns, "host": self._host,
            "version": self._version, "log_level": self._log_level,
            "outputs": [codec.encode(spec) for spec in self._specs.values()],
        }  # fmt: skip
        return json.dumps(order).encode() + b"\n"

    async def _read(self, stream: asyncio.StreamReader) -> None:
        """Until it ends, or says nothing for too long."""
        while True:
            try:
                line = await asyncio.wait_for(stream.readline(), SILENCE_SECONDS)
            except TimeoutError:
                log.error("the forwarder of log outputs is stuck, and is begun anew")
                return
            if not line:
                return
            said = json.loads(line)
            if "lost" in said:
                self._lose(**said["lost"])
            for each in said.get("status", ()):
                self._take(OutputStatus(**each))

    def _take(self, status: OutputStatus) -> None:
        spec = self._specs.get(status.name)
        if spec is None:
            return
        self._status[status.name] = status
        told, verdicts = judge(spec, self._told[status.name], status, time.monotonic(), self._clock())
        self._told[status.name] = told
        for verdict in verdicts:
            self._tell(verdict.kind, status.name, verdict.message, verdict.data)

    def _lose(self, output: str, instance: str, lines: int, size: int, since_ns: int, until_ns: int) -> None:
        count = f"{lines} lines" if lines >= 0 else "an unknown number of lines"
        where = f"from {format_time(since_ns)}" if lines >= 0 else f"after {format_time(since_ns)}"
        until = f" and before {format_time(until_ns)}" if until_ns else ""
        message = f"output {output} lost {count} of {instance}, {where}{until}: rotation removed them unsent"
        data = {"instance": instance, "lines": lines, "bytes": size, "since_ns": since_ns, "until_ns": until_ns}
        self._tell(EventKind.OUTPUT_LOST, output, message, data)

    def _fail(self, why: str) -> None:
        """The forwarder is not there: nothing is sent, nothing is lost either, and the outputs say so."""
        log.error("nothing is sent to log outputs for now: the forwarder is gone, %s; it is begun again", why)
        now_ns = self._clock()
        for name, status in self._status.items():
            since = status.failing_since_ns or now_ns
            gone = replace(
                status, state="failing", failing_since_ns=since, last_error=f"the forwarder is gone: {why}",
                last_error_ns=now_ns,
            )  # fmt: skip
            self._take(gone) if name in self._specs else None

    async def _end(self) -> int | None:
        """Ends the forwarder in order, so that it keeps its places; by force when it takes too long."""
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        return process.returncode


def pid_of(outputs: Outputs) -> int | None:
    """Of the forwarder, for who measures it; None: there is none."""
    return outputs._process.pid if outputs._process is not None else None
