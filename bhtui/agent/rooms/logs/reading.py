"""One read from its first line to its end, in steps short enough that it can be stopped at any time.

Nothing runs between the steps: who does not ask for the next one leaves the lines in the files, and loses none.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from bhtui.core.logs import LogBatch, LogLine, LogPlace, LogsQuery

from . import files, hints, history
from .context import Around, ContextScanner
from .files import LogFile
from .follow import Follower, Merger
from .history import Run, read_all
from .query import Matcher
from .scan import Scanner, TimeScanner
from .seeking import Begin, Found, Search

BATCH_LINES = 500
BATCH_CHARACTERS = 256 << 10
STEP_SECONDS = 0.03
GATHERED_CHARACTERS = 8 << 20
"""The newest lines are gathered in memory up to this; when they are more, they are first only counted."""
LOOK_FOR_NEW_SECONDS = 1.0
TELL_PLACES_SECONDS = 5.0
"""After which a stream that gives nothing tells how far it has come, so that going on there costs little."""
_name = attrgetter("service", "instance")
LINES_WITHOUT_ENGINE = 100_000
"""From the end: the newest that are wanted are mostly near it."""


class Source(NamedTuple):
    """An instance that has, or may have, a log."""

    service: str
    instance: str
    path: Path


class Reading:
    """Steps through what a query asks for. Safe to be closed while a step runs in another thread."""

    def __init__(
        self,
        query: LogsQuery,
        sources: Callable[[], Sequence[Source]],
        clock: Callable[[], int],
        begin: Begin,
    ) -> None:
        self.is_ended = False
        self._begin = begin
        self._engine: Search | None = None
        self._was_engine_tried = False
        self._query, self._sources, self._clock = query, sources, clock
        self._matcher = Matcher(query)
        self._followers: dict[tuple[str, str], Follower] = {}
        self._around: dict[str, Around] = {}
        self._lines = self._run()
        self._ready: deque[LogLine] = deque()
        self._ready_characters = 0
        self._scanned = self._lost = 0
        self._is_caught_up = self._was_told = self._is_idle = False
        self._told: dict[tuple[str, str], LogPlace] = {}
        self._told_at = 0.0
        self._lock = threading.Lock()

    def next(self) -> LogBatch | None:
        """The next batch; None when nothing new has come: ask again after a while. Raises OSError."""
        with self._lock:
            deadline = time.monotonic() + STEP_SECONDS
            self._is_idle = False
            while not (self._has_batch() or self._must_tell() or self._is_idle):
                lines = next(self._lines, None)
                if lines is None:
                    break
                self._ready.extend(lines)
                self._ready_characters += sum(len(line.message) for line in lines)
                if time.monotonic() >= deadline:
                    break
            return self._batch()

    def _has_batch(self) -> bool:
        return len(self._ready) >= BATCH_LINES or self._ready_characters >= BATCH_CHARACTERS

    def _must_tell(self) -> bool:
        return self._is_caught_up and not self._was_told

    @property
    def has_more(self) -> bool:
        """Whether the next batch need not be waited for."""
        return bool(self._ready) or not self._is_idle

    def _batch(self) -> LogBatch | None:
        is_following = self._was_told or bool(self._query.after)
        lines = self._take()
        tell = self._must_tell() and not self._ready
        self._was_told = self._was_told or tell
        self.is_ended = self._was_told and not self._query.follow
        lost, self._lost = self._lost, 0
        places = self._places(lines if is_following else (), everything=tell) if self._query.follow else ()
        if self._is_idle and not (lines or lost or tell or places):
            return None
        return LogBatch(tuple(lines), self._scanned, lost, tell, places, self._clock())

    def _take(self) -> list[LogLine]:
        """The lines of a batch, of those that are ready."""
        lines: list[LogLine] = []
        size = 0
        if len(self._ready) <= BATCH_LINES and self._ready_characters <= BATCH_CHARACTERS:
            lines, size = list(self._ready), self._ready_characters
            self._ready.clear()
        while self._ready and len(lines) < BATCH_LINES and size < BATCH_CHARACTERS:
            line = self._ready.popleft()
            size += len(line.message)
            lines.append(line)
        self._ready_characters -= size
        return lines

    def _places(self, lines: Sequence[LogLine], *, everything: bool) -> tuple[LogPlace, ...]:
        """Where the instances are of which lines are given; now and then where all are."""
        given = Counter(map(_name, lines))
        for name, count in given.items():
            self._followers[name].gave(count)
            self._told.pop(name, None)
        now = time.monotonic()
        if everything or (self._was_told and now - self._told_at >= TELL_PLACES_SECONDS):
            self._told_at = now
            names = [name for name, one in self._followers.items() if self._told.get(name) != one.place]
        else:
            names = list(given)
        self._told |= {name: self._followers[name].place for name in names}
        return tuple(self._told[name] for name in names)

    def close(self) -> None:
        """Closes every file."""
        with self._lock:
            self.is_ended = True
            self._lines.close()

    def _run(self) -> Generator[list[LogLine], None, None]:
        try:
            if self._query.after:
                self._go_on()
            else:
                yield from self._history()
                self._end_engine()
                self._is_caught_up = True
                yield []
            if self._query.follow:
                yield from self._follow()
        finally:
            self._end_engine()
            for follower in self._followers.values():
                follower.close()

    def _history(self) -> Generator[list[LogLine], None, None]:
        query, found = self._query, self._survey()
        runs = self._runs(found, query.since_ns)
        if not query.tail:
            yield from self._counted(self._forward(runs))
        elif query.context or not (yield from self._newest(runs)):
            yield from self._since_newest(found, runs)
        self._lost += sum(run.is_missing for run in runs)

    def _newest(self, runs: Sequence[Run]) -> Generator[list[LogLine], None, bool]:
        """Gives the newest lines that are wanted, unless they are too large to be gathered first.

        They are mostly near the end; what is not is looked for with an engine.
        """
        began, tail = self._scanned, self._query.tail
        try:
            for lines in self._counted(history.newest(runs, tail, self._plain, GATHERED_CHARACTERS)):
                yield lines
                if self._is_far(began) and (search := self._search(runs)) is not None:
                    yield from self._counted(search.newest(runs, tail, self._plain, GATHERED_CHARACTERS))
                    return True
        except history.TooLarge:
            return False
        return True

    def _is_far(self, began: int) -> bool:
        return self._scanned - began > LINES_WITHOUT_ENGINE and not self._was_engine_tried

    def _counted(self, found: Iterable[tuple[list[LogLine], int]]) -> Generator[list[LogLine], None, None]:
        for lines, scanned in found:
            self._scanned += scanned
            yield lines

    def _since_newest(
        self, found: Sequence[tuple[Source, LogFile]], runs: Sequence[Run]
    ) -> Generator[list[LogLine], None, None]:
        """Finds when the first of the newest that are wanted was written, and reads on from there."""
        looking = history.newest_since(runs, self._query.tail, self._times)
        began, since_ns, skip = self._scanned, 0, 0
        while True:
            try:
                self._scanned += next(looking)
            except StopIteration as ended:
                since_ns, skip = ended.value
                break
            yield []
            if self._is_far(began) and (search := self._search(runs)) is not None:
                looking = search.newest_since(runs, self._query.tail, self._times)
        if since_ns < 0:
            return
        self._matcher.since_ns = max(self._matcher.since_ns, since_ns)
        for lines in self._counted(self._forward(self._runs(found, since_ns))):
            leave = 0 if self._query.context else min(skip, len(lines))
            skip -= leave
            yield lines[leave:]

    def _go_on(self) -> None:
        """Begins where another stream has been; what is not known by a place is new."""
        places = {(place.service, place.instance): place for place in self._query.after}
        for source in self._sources():
            name = source[:2]
            place = places.get(name)
            seen = files.survey(source.path) if place is not None else None
            self._followers[name] = Follower(source.path, self._scanner(*name), seen, place)

    def _forward(self, runs: Sequence[Run]) -> Found:
        search = self._search(runs)
        return search.forward(runs, self._scanner) if search else history.forward(read_all(runs, self._scanner))

    def _search(self, runs: Sequence[Run]) -> Search | None:
        """An engine, where there is something to look for in enough bytes. It is closed with the reading."""
        self._end_engine()
        self._was_engine_tried = True
        hint = hints.hint(self._query)
        if hint is not None:
            self._engine = self._begin(hint, sum(run.end - run.start for run in runs))
        return self._engine

    def _end_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _survey(self) -> list[tuple[Source, LogFile]]:
        """Every file of every instance, oldest first; what is written from now on is left to the followers."""
        found: list[tuple[Source, LogFile]] = []
        for source in self._sources():
            seen = files.survey(source.path)
            self._followers[source[:2]] = Follower(source.path, self._scanner(*source[:2]), seen)
            found += [(source, file) for file in (*seen.rotated, seen.active) if file is not None]
        return found

    def _runs(self, found: Iterable[tuple[Source, LogFile]], since_ns: int) -> list[Run]:
        until_ns, lead = self._query.until_ns, self._query.context
        return [Run(*source[:2], file, since_ns, until_ns, lead) for source, file in found]

    def _plain(self, service: str, instance: str) -> Scanner:
        return Scanner(service, instance, self._matcher)

    def _times(self, service: str, instance: str) -> Scanner:
        return TimeScanner(service, instance, self._matcher)

    def _scanner(self, service: str, instance: str) -> Scanner:
        if not self._query.context:
            return self._plain(service, instance)
        around = self._around.setdefault(instance, Around(self._query.context))
        return ContextScanner(service, instance, self._matcher, around)

    def _follow(self) -> Generator[list[LogLine], None, None]:
        merger, before, looked = Merger(self._clock), self._scanned, time.monotonic()
        while True:
            if time.monotonic() - looked >= LOOK_FOR_NEW_SECONDS:
                looked = time.monotonic()
                self._look_for_new()
            followers = tuple(self._followers.values())
            told = sum(follower.lost for follower in followers)
            lines, is_lagging = merger.round(followers)
            self._lost += sum(follower.lost for follower in followers) - told
            self._scanned = before + sum(follower.scanner.scanned for follower in followers)
            self._is_idle = not is_lagging
            self._is_caught_up = self._is_caught_up or not is_lagging
            yield lines

    def _look_for_new(self) -> None:
        for source in self._sources():
            if source[:2] not in self._followers:
                self._followers[source[:2]] = Follower(source.path, self._scanner(*source[:2]))
