"""One output at work: reads batches, sends them until they are taken, keeps its place. One thread, nothing shared but
what `status` gives out.

A batch is sent again, as it was, until all of it was accepted or rejected for good; only then the place moves. Where
nothing says that lines have arrived (see Sink), the place follows some seconds later, and after an error everything
from there on is read and sent again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from bhtui.agent.outbound.backoff import Backoff
from bhtui.core.outputs import OutputSpec, OutputStatus

from .. import levels
from .chains import Chain, Held
from .cursors import CursorError, Cursors
from .deadletter import DeadLetters
from .model import Outcome, Record, Rejected, Sink, SinkDown
from .tail import Lost, Position, Tail

log = logging.getLogger(__name__)

BATCH_LINES = 2000
BATCH_BYTES = 1 << 20
"""Of text; a batch ends with the block that passes it."""
SAVE_SECONDS = 1.0
LOOK_SECONDS = 0.5
DRAIN_SECONDS = 1.0


class _Sent(NamedTuple):
    """A batch that counts as received when nothing went wrong for a while."""

    at: float
    lines: int
    positions: dict[Tail, Position]


class Pump:
    """Runs in a thread of its own from `start` until `stop` and `join`."""

    def __init__(
        self, spec: OutputSpec, sink: Sink, cursors: Cursors, dead: DeadLetters, tell_lost: Callable[[str, Lost], None]
    ) -> None:
        self.spec, self._sink = spec, sink
        self.status = OutputStatus(spec.name, spec.type, sink.target)
        """How it is; another object after each change."""
        self.wake = threading.Event()
        """Set by whoever sees that there is something to read."""
        self._cursors, self._dead, self._tell_lost = cursors, dead, tell_lost
        self._tails: dict[str, Tail] = {}
        self._fresh: deque[tuple[str, Tail]] = deque()
        self._sent: deque[_Sent] = deque()
        self._backoff = Backoff()
        self._is_stopping = threading.Event()
        self._saved: dict[str, dict[str, object]] = {}
        self._is_new = self._is_dirty = False
        self._next_save = self._next_look = 0.0
        self._turn = 0
        self._unsaved = ""
        self._begun_ns = 0
        self._thread = threading.Thread(target=self._run, name=f"output {spec.name}", daemon=True)

    # Called by the looking thread

    def load(self, begun_ns: int) -> None:
        """Reads where it was; a new output begins with what was captured since `begun_ns`, unless it wants all."""
        self._begun_ns = begun_ns
        try:
            found = self._cursors.load()
            self._is_new, self._saved = found is None, found or {}
            self._is_dirty = self._is_new  # so that from now on it is not new any more
        except CursorError as error:
            # Sent twice is better than not at all: everything that is there.
            why = f"cannot read {self._cursors.path}: {error}; everything that is captured is sent once more"
            log.error("output %s: %s", self.spec.name, why)
            self.status = replace(self.status, last_error=why, last_error_ns=time.time_ns())

    def add(self, chain: Chain, there: list[Held], *, was_there: bool) -> Tail:
        """One instance more, with its files, which it leaves when it has read them."""
        key = f"{chain.service}/{chain.instance}"
        tail = Tail(chain, levels.rank(self.spec.level) if self.spec.level else -1)
        saved = self._saved.get(key)
        since = self._begun_ns if self._is_new and was_there and not self.spec.backlog else 0
        lost = tail.begin(there, saved, since)
        if lost is not None:
            self._tell_lost(self.spec.name, lost)
        self._fresh.append((key, tail))
        self.wake.set()
        return tail

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def stop(self) -> None:
        """Asks it to send what is there and to end; does not wait."""
        self._is_stopping.set()
        self.wake.set()

    @property
    def is_running(self) -> bool:
        """False after its end, and after a bug of ours has ended it."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Waits for its end, at most so long."""
        self._thread.join(seconds)

    # The thread

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                self._round()
            self._drain()
        except Exception:  # a bug of ours: it is told, and the process ends, which begins anew with all its places
            log.exception("output %s has failed", self.spec.name)
            raise
        finally:
            self._end()

    def _round(self) -> None:
        self._upkeep()
        records, positions = self._gather()
        if positions:
            self._deliver(records, positions)
        elif self._settle():
            self.wake.wait(LOOK_SECONDS)
            self.wake.clear()

    def _upkeep(self) -> None:
        """What must go on however long a receiver is away."""
        now = time.monotonic()
        while self._fresh:
            key, tail = self._fresh.popleft()
            self._tails[key] = tail
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        for tail in self._tails.values():
            self._lose(tail.let_go(now))
        self._save(now)
        self._look_behind()

    def _lose(self, all_lost: list[Lost]) -> None:
        for lost in all_lost:
            self.status = replace(self.status, dropped=self.status.dropped + lost.lines)
            self._is_dirty = True
            self._tell_lost(self.spec.name, lost)

    def _gather(self) -> tuple[list[Record], dict[Tail, Position]]:
        """A block of each instance in turn until it is enough for one batch."""
        records: list[Record] = []
        positions: dict[Tail, Position] = {}
        tails = [tail for tail in self._tails.values() if tail.has_more]
        size = 0
        self._turn += 1
        for index in range(len(tails)):
            tail = tails[(index + self._turn) % len(tails)]
            before = tail.position
            try:
                found = tail.read()
            except OSError as error:
                log.error("output %s: cannot read %s: %s", self.spec.name, tail.chain.path, error)
                continue
            if tail.position != before:
                positions[tail] = tail.position
            records += found
            size += sum([len(record.text) for record in found])
            if len(records) >= BATCH_LINES or size >= BATCH_BYTES:
                break
        return records, positions

    def _deliver(self, records: list[Record], positions: dict[Tail, Position]) -> None:
        """Sends until all was taken or rejected. What may have to be read again after an error is given up here."""
        waiting = [records] if records else []
        while waiting:
            part = waiting.pop()
            try:
                outcome = self._sink.send(part)
            except Rejected as error:
                waiting += self._halve(part, str(error))
            except SinkDown as error:
                if self._sink.settle_seconds:
                    self._go_back(error)
                    return
                if not self._must_wait(error, len(part)):
                    return
                waiting.append(part)
            else:
                if again := self._took(part, outcome):
                    if not self._must_wait(SinkDown(outcome.why), len(again)):
                        return
                    waiting.append(again)
        self._sent.append(_Sent(time.monotonic(), len(records), positions))
        self._settle()

    def _halve(self, part: list[Record], why: str) -> list[list[Record]]:
        if len(part) == 1:
            self._reject(part[0], why)
            return []
        middle = len(part) // 2
        return [part[middle:], part[:middle]]

    def _took(self, part: Sequence[Record], outcome: Outcome) -> list[Record]:
        """Counts; the lines that are to be sent again."""
        for index, why in outcome.rejected:
            self._reject(part[index], why)
        left = {*outcome.again, *(index for index, _ in outcome.rejected)}
        taken = [record for index, record in enumerate(part) if index not in left] if left else part
        if taken:
            size = self.status.sent_bytes + sum([len(record.text) for record in taken])
            self.status = replace(
                self.status, sent=self.status.sent + len(taken), sent_bytes=size, last_sent_ns=time.time_ns()
            )
        if not outcome.again:
            self._is_well()
        return [part[index] for index in outcome.again]

    def _reject(self, record: Record, why: str) -> None:
        now_ns = time.time_ns()
        status = replace(self.status, last_error=why, last_error_ns=now_ns)
        try:
            self._dead.put(record, why, now_ns)
            self.status = replace(status, dead_lettered=status.dead_lettered + 1)
        except OSError as error:
            why = f"{why}; and it could not be kept in {self._dead.path}: {error.strerror}"
            self.status = replace(status, dropped=status.dropped + 1, last_error=why)

    # Errors

    def _go_back(self, error: SinkDown) -> None:
        """Reads again everything that nobody has said to have arrived, after a wait."""
        lines = sum(sent.lines for sent in self._sent)
        self._sent.clear()
        for tail in self._tails.values():
            self._lose(tail.rewind())
        self._must_wait(error, lines)

    def _must_wait(self, error: SinkDown, lines: int) -> bool:
        """Waits for the next try, of so many lines; False: there will be none, as the end has come."""
        now_ns = time.time_ns()
        self.status = replace(
            self.status, state="failing", retried=self.status.retried + lines, last_error=str(error),
            last_error_ns=now_ns, failing_since_ns=self.status.failing_since_ns or now_ns,
        )  # fmt: skip
        until = time.monotonic() + self._backoff.next(random.random(), error.retry_after)  # noqa: S311 - no secret
        while (left := until - time.monotonic()) > 0 and not self._is_stopping.wait(min(left, LOOK_SECONDS)):
            self._upkeep()
        return not self._is_stopping.is_set()

    def _is_well(self) -> None:
        self._backoff.reset()
        if self.status.failing_since_ns or self.status.state == "idle":
            self.status = replace(self.status, failing_since_ns=0, state="ok")

    # Keeping the place

    def _settle(self) -> bool:
        """Moves the place on over what was received. False: something was lost on its way."""
        wait = self._sink.settle_seconds
        if not self._sent or (wait and time.monotonic() - self._sent[0].at < wait):
            return True
        try:
            if wait and not self._sink.check():
                return True
        except SinkDown as error:
            self._go_back(error)
            return False
        now = time.monotonic()
        while self._sent and now - self._sent[0].at >= wait:
            self._commit(self._sent.popleft())
        return True

    def _commit(self, sent: _Sent) -> None:
        for tail, position in sent.positions.items():
            tail.commit(position)
        self._is_dirty = True

    def _save(self, now: float) -> None:
        if not self._is_dirty or now < self._next_save:
            return
        self._next_save = now + SAVE_SECONDS
        try:
            self._sink.flush()
            self._cursors.save(self._places())
            self._is_dirty, self._unsaved = False, ""
        except (OSError, SinkDown) as error:
            self._tell_unsaved(error)

    def _tell_unsaved(self, error: OSError | SinkDown) -> None:
        why = getattr(error, "strerror", None) or str(error)
        if why != self._unsaved:  # once, and not once a second
            log.warning("output %s: its place is not kept for now, lines may be sent twice: %s", self.spec.name, why)
        self._unsaved = why

    def _places(self) -> dict[str, dict[str, object]]:
        places = {key: place for key, tail in self._tails.items() if (place := tail.saved()) is not None}
        # Of an instance whose files are not there now the place is kept: they may come back with their disk.
        return {**self._saved, **places}

    def _look_behind(self) -> None:
        in_doubt_too = not self._sink.settle_seconds
        behind = sum(tail.behind(in_doubt_too) for tail in self._tails.values())
        late = [tail.oldest_ns(in_doubt_too) for tail in self._tails.values()]
        oldest = min((time_ns for time_ns in late if time_ns), default=0)
        seconds = max(0.0, (time.time_ns() - oldest) / 1e9) if oldest else 0.0
        read = (
            sum(tail.read_bytes for tail in self._tails.values()),
            sum(tail.read_lines for tail in self._tails.values()),
        )
        mean = read[0] / read[1] if read[1] else 100.0
        state = self.status.state
        if state in ("ok", "lagging"):
            state = "lagging" if seconds > self.spec.warn_after else "ok"
        lines = max(1, round(behind / mean)) if behind else 0
        self.status = replace(self.status, behind_bytes=behind, behind_lines=lines, behind_seconds=seconds, state=state)

    # The end

    def _drain(self) -> None:
        """Sends what is there as long as that goes well and does not take long."""
        deadline = time.monotonic() + DRAIN_SECONDS
        self._next_look = 0.0
        self._upkeep()
        while time.monotonic() < deadline and not self.status.failing_since_ns:
            records, positions = self._gather()
            if not positions:
                return
            self._deliver(records, positions)

    def _end(self) -> None:
        if self._sink.close():
            while self._sent:
                self._commit(self._sent.popleft())
        self._is_dirty, self._next_save = True, 0.0
        try:
            self._cursors.save(self._places())
        except OSError as error:
            self._tell_unsaved(error)
        for tail in self._tails.values():
            tail.close()
