"""One restore: gives folders and big files to the workers, and closes a folder when all in it is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..crypto import OVERHEAD
from ..index import Index
from ..node import Node
from ..pool import Message, Pool
from ..progress import Flag, Note, Pace, Progress, refuse_cancelled
from ..trees import Trees
from .model import MAX_CHANGES, Change, Restored, told
from .select import Selection
from .worker import LARGE
from .writing import BATCH, SLICE

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .fetch import Fetch

WAIT = 0.05
"""Seconds until cancelling and progress are looked at when nothing happens."""
_FETCHING = 8
"""Jobs whose blobs are fetched ahead."""
Then = Callable[[Message], None]
Job = tuple[Message, Then]


@dataclass(slots=True)
class Folder:
    """A folder in which not all is done."""

    path: list[bytes]
    tree: bytes
    selection: Selection | None
    is_there: bool
    is_new: bool
    above: Folder | None
    dress: tuple[Any, ...] | None
    """Its node, when it shall get its rights and times."""
    waiting: int = 0


@dataclass(slots=True)
class _Linked:
    """The names of one file. All but the first wait until that is there."""

    first: list[bytes]
    is_there: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)


class Run:
    """The state of one restore."""

    def __init__(
        self,
        pool: Pool,
        trees: Trees,
        fetch: Fetch | None,
        index: Index,
        totals: tuple[int, int],
        dry_run: bool,
        pace: Pace,
        note: Callable[[Note], None],
        cancelled: Flag,
    ) -> None:
        self._pool, self._trees, self._fetch, self._index = pool, trees, fetch, index
        self._totals, self._dry_run, self._pace, self._note, self._cancelled = totals, dry_run, pace, note, cancelled
        self._given: list[deque[Then]] = [deque() for _ in pool.numbers]
        self._urgent: deque[Job] = deque()
        self._folders: list[tuple[Folder, int]] = []
        self._fetching: deque[tuple[list[Future[None]], Job]] = deque()
        self._links: dict[tuple[Any, ...], _Linked] = {}
        self._current = ""
        self.done = Restored()

    def go(self, top: Folder) -> Restored:
        """Restores everything. Raises EngineError."""
        self._begin(top)
        while self._work():
            pass
        self._pace.say(self._progress(), is_last=True)
        return self.done

    def _work(self) -> bool:
        refuse_cancelled(self._cancelled)
        while (number := self._pool.free()) is not None and (given := self._next()):
            job, then = given
            self._given[number].append(then)
            self._pool.give(number, job)
        for number, message in self._pool.heard(WAIT if self._pool.outstanding else 0.005):
            self._heard(number, message)
        if self._pace.due():
            self._pace.say(self._progress())
        return bool(self._pool.outstanding or self._urgent or self._folders or self._fetching)

    def _next(self) -> Job | None:
        for _ in range(len(self._fetching)):
            futures, waiting = self._fetching.popleft()
            if all(future.done() for future in futures):
                for future in futures:
                    future.result()
                return waiting
            self._fetching.append((futures, waiting))
        if self._urgent:
            return self._urgent.popleft()
        if not self._folders or len(self._fetching) >= _FETCHING:
            return None
        folder, start = self._folders.pop()
        self._trees.expect(each.tree for each, _ in self._folders[-self._trees.AHEAD :])
        raw = self._trees.get(folder.tree)
        job: Message = (
            "folder",
            folder.path,
            folder.tree,
            raw,
            folder.selection,
            start,
            folder.is_there,
            folder.is_new,
        )

        def then(answer: Message) -> None:
            self._listed(folder, start, answer)

        if self._fetch is None or self._dry_run:
            return job, then
        return ("needs", *job[1:]), lambda answer: self._fetched(answer[0], job, then)

    def _fetched(self, ids: list[bytes], job: Message, then: Then) -> None:
        """The job, when its blobs have been fetched; at once, where the workers read for themselves."""
        if self._fetch is None:
            self._urgent.append((job, then))
            return
        fetch = self._fetch
        packs, futures = fetch.want(ids)

        def after(answer: Message) -> None:
            fetch.release(packs)
            then(answer)

        self._fetching.append((futures, (job, after)))

    def _heard(self, number: int, message: Message) -> None:
        if message[0] == "note":
            note = Note(*message[1:])
            self.done.lost += note.is_left_out
            self._note(note)
            return
        files, bytes, skipped, removed = message[1]
        done = self.done
        done.files += files
        done.bytes += bytes
        done.skipped += skipped
        done.removed += removed
        room = MAX_CHANGES - len(done.changes)
        done.changes += [Change(*each) for each in message[2][:room]]
        done.more = done.more or len(message[2]) > room
        self._given[number].popleft()(message[3:])

    def _begin(self, folder: Folder) -> None:
        folder.waiting += 1
        self._folders.append((folder, 0))

    def _listed(self, folder: Folder, start: int, answer: Message) -> None:
        apart, count = answer
        self._current = b"/".join(folder.path).decode("utf-8", "replace")
        if start == 0:
            for each in range(SLICE, count, SLICE):
                folder.waiting += 1
                self._folders.append((folder, each))
        for each in apart:
            self._apart(folder, *each)
        self._left(folder)

    def _apart(self, folder: Folder, kind: str, said: tuple[Any, ...], *more: Any) -> None:
        node = Node(*said)
        if kind == "folder":
            assert node.subtree is not None
            part, is_there, is_new, is_dressed = more
            folder.waiting += 1
            self._begin(
                Folder(
                    [*folder.path, node.name],
                    node.subtree,
                    part,
                    is_there,
                    is_new,
                    folder,
                    said if is_dressed else None,
                )
            )
        elif kind == "kept":
            self._links.setdefault(_link(node), _Linked([*folder.path, node.name], is_there=True))
        elif kind == "link":
            self._linked(folder, node)
        else:
            folder.waiting += 1
            self._large(folder, node, lambda: self._left(folder))

    def _linked(self, folder: Folder, node: Node) -> None:
        """One name of several: the first is written, the others are made when it is there."""
        folder.waiting += 1
        key, path = _link(node), [*folder.path, node.name]
        linked = self._links.get(key)
        if linked is None:
            linked = self._links[key] = _Linked(path)
            first = linked

            def written() -> None:
                first.is_there = True
                for each in first.waiting:
                    each()
                first.waiting = []
                self._left(folder)

            if node.size > LARGE:
                self._large(folder, node, written)
            else:
                self._fetched(node.content or [], ("file", folder.path, told(node)), lambda _: written())
            return

        def link() -> None:
            job = ("link", folder.path, node.name, linked.first, told(node))
            if self._fetch is None:
                self._urgent.append((job, lambda _: self._left(folder)))
            else:  # where linking cannot be done, it is written
                self._fetched(node.content or [], job, lambda _: self._left(folder))

        link() if linked.is_there else linked.waiting.append(link)

    def _large(self, folder: Folder, node: Node, then: Callable[[], None]) -> None:
        """A big file: made, filled by all workers, then given its name."""
        pieces, size, problem = _pieces(self._index, node.content or [])
        node.content, batches = None, _batches(pieces)
        state: dict[str, Any] = {"waiting": len(batches), "problem": problem}
        said = told(node)

        def ended() -> None:
            job = ("end", folder.path, state["name"], said, state["problem"])
            self._urgent.appendleft((job, lambda _: then()))

        def stored(answer: Message) -> None:
            state["problem"] = state["problem"] or answer[0]
            state["waiting"] -= 1
            if not state["waiting"]:
                ended()

        def begun(answer: Message) -> None:
            state["name"] = answer[0]
            if not answer[0]:
                then()
            elif problem or not batches:
                ended()
            else:
                for batch in batches:
                    self._fetched([id for id, _ in batch], ("pieces", folder.path, answer[0], batch), stored)

        self._urgent.append((("begin", folder.path, said, size), begun))

    def _left(self, folder: Folder) -> None:
        """One thing less is awaited in a folder."""
        open: Folder | None = folder
        while open is not None:
            open.waiting -= 1
            if open.waiting:
                return
            if open.dress is not None:
                self._urgent.append((("close", open.path, open.dress), self._closed(open.above)))
                return
            open = open.above

    def _closed(self, above: Folder | None) -> Then:
        return lambda _: self._left(above) if above else None

    def _progress(self) -> Progress:
        files, bytes = self.done.files + self.done.skipped, self.done.bytes
        totals = max(self._totals[0], files), max(self._totals[1], bytes)
        return Progress("restore", bytes, totals[1], files, totals[0], self._current)


def _link(node: Node) -> tuple[Any, ...]:
    """What is equal for the names of one file."""
    return node.device_id, node.inode, node.size, hash(tuple(node.content or ()))


def _pieces(index: Index, content: list[bytes]) -> tuple[dict[bytes, list[int]], int, str]:
    """Each blob's offsets in the file, the length of all, and what is wrong."""
    found: dict[bytes, list[int]] = {}
    at = 0
    for id in content:
        place = index.get(id)
        if place is None:
            return {}, 0, f"no index knows the blob {id.hex()[:8]}"
        found.setdefault(id, []).append(at)
        at += place.raw or place.length - OVERHEAD
    return found, at, ""


def _batches(pieces: dict[bytes, list[int]]) -> list[list[tuple[bytes, list[int]]]]:
    """Pieces that one job writes: about `BATCH` bytes, taken as they lie in the file, which is how they were stored."""
    found: list[list[tuple[bytes, list[int]]]] = []
    start = -BATCH
    for id, offsets in pieces.items():
        if offsets[0] - start >= BATCH:
            found.append([])
            start = offsets[0]
        found[-1].append((id, offsets))
    return found
