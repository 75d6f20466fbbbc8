"""One backup: gives the work to the workers and puts together what they answer.

Folders lie on a stack, so that a branch is finished before the next begins and little is open at once. What a folder
waits for has its place in the folder's parts; when the last comes, its tree is stored and its own text goes to the
folder above.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..blob import BlobType
from ..errors import EngineError
from ..node import parse_tree, tree
from ..pool import Message, Pool
from ..progress import Flag, Note, Pace, Progress, refuse_cancelled
from ..repository import Repository
from ..trees import Trees
from . import entries
from .counts import Counts
from .files import BigFiles
from .layout import Spot, Virtual, made, stat_of
from .scan import Scan
from .sink import Packed, Sink
from .uploads import Uploads

WAIT = 0.05
"""Seconds until cancelling and progress are looked at when nothing happens."""
Then = Callable[[Message], None]


@dataclass(slots=True)
class Folder:
    """A folder that is not complete. `parts` is its texts in order: `None` for what is awaited, lists for slices."""

    path: bytes
    above: Place | None
    known: bytes
    """Its tree in the parent snapshot; empty: there is none."""
    text: str = ""
    parts: list[Any] = field(default_factory=list)
    waiting: int = 0


@dataclass(slots=True)
class Place:
    """Where a text belongs."""

    folder: Folder
    parts: list[Any]
    at: int


class Run:
    """The state of one backup."""

    def __init__(
        self,
        repository: Repository,
        pool: Pool,
        sink: Sink,
        uploads: Uploads,
        trees: Trees,
        scan: Scan | None,
        totals: tuple[int, int],
        time_ns: int,
        pace: Pace,
        note: Callable[[Note], None],
        cancelled: Flag,
    ) -> None:
        self._repository, self._pool, self._sink, self._uploads, self._trees = repository, pool, sink, uploads, trees
        self._scan, self._totals, self._time_ns = scan, totals, time_ns
        self._pace, self._note, self._cancelled = pace, note, cancelled
        self.counts = Counts()
        self._given: list[deque[Then]] = [deque() for _ in pool.numbers]
        self._urgent: deque[tuple[Message, Then]] = deque()
        self._folders: list[tuple[Folder, list[Any], list[bytes] | None]] = []
        self._files = BigFiles(self._urgent, len(pool.numbers), self._fill, trees)
        self._current = b""
        self._root = b""
        self._partial: list[Packed] = []
        self.stored = [0, 0, 0, 0]
        """Data blobs, tree blobs, bytes before compression, bytes as stored."""

    def go(self, top: Spot, parent: bytes) -> bytes:
        """Takes everything; the id of the tree at the top. Raises EngineError."""
        root = Folder(b"/", None, parent)
        if b"" in top.taken:
            root.waiting = 1
            self._folders.append((root, root.parts, None))
        else:
            self._begin(root, top)
        while self._work():
            pass
        if not self._root:
            raise EngineError("vanished", "cannot back up: nothing of what was asked for is there any more")
        self._finish()
        return self._root

    def _begin(self, folder: Folder, spot: Spot) -> None:
        """A folder above what is taken: each of its entries comes from somewhere else."""
        before = self._subtrees(folder.known)
        names = spot.names()
        folder.waiting = len(names)
        folder.parts = [None] * len(names)
        for at, name in enumerate(names):
            place = Place(folder, folder.parts, at)
            if name in spot.folders:
                below = spot.folders[name]
                st = stat_of(below.path, self._time_ns)
                text = entries.beginning(name, st, 0) + (entries.attributes(below.path) if st.st_ino else "")
                self._begin(Folder(below.path, place, before.get(name, b""), text), below)
            elif name in spot.virtual:
                self._virtual(name, spot.virtual[name], place)
            else:
                slice: list[Any] = []
                folder.parts[at] = slice
                self._folders.append((folder, slice, [name]))

    def _subtrees(self, id: bytes) -> dict[bytes, bytes]:
        if not id:
            return {}
        try:
            return {node.name: node.subtree or b"" for node in parse_tree(id, self._repository.read_blob(id))}
        except EngineError as error:
            if error.code not in ("damaged", "not_found"):
                raise
            self._note(Note("/", f"everything is read anew, for in the parent snapshot {error}"))
            return {}

    def _virtual(self, name: bytes, virtual: Virtual, place: Place) -> None:
        def then(answer: Message) -> None:
            size, content = answer
            st = made(0o100600, self._time_ns)
            self._fill(place, entries.beginning(name, st, size) + entries.file_end(content))

        self._urgent.append((("virtual", name, virtual.command, dict(virtual.env)), then))

    def _work(self) -> bool:
        """Gives out what there is, and hears what was done. Whether anything is left."""
        refuse_cancelled(self._cancelled)
        self._uploads.settle()
        while not self._uploads.is_busy and (number := self._pool.free()) is not None and (next := self._next()):
            job, then = next
            self._given[number].append(then)
            self._pool.give(number, job)
        for number, message in self._pool.heard(WAIT):
            self._heard(number, message)
        if self._pace.due():
            self._pace.say(self._progress())
        return bool(self._pool.outstanding or self._urgent or self._folders or self._files.waiting)

    def _next(self) -> tuple[Message, Then] | None:
        self._files.begin()
        if self._urgent:
            return self._urgent.popleft()
        if not self._folders:
            return None
        folder, parts, names = self._folders.pop()
        self._trees.expect(each.known for each, _, names in self._folders[-self._trees.AHEAD :])
        raw = self._trees.get(folder.known)
        return ("folder", folder.path, names, folder.known, raw), lambda answer: self._listed(
            folder, parts, names, answer
        )

    def _heard(self, number: int, message: Message) -> None:
        if message[0] == "note":
            path, problem, is_left_out = message[1:]
            self._note(Note(path.decode("utf-8", "replace"), problem, is_left_out))
        elif message[0] == "pack":
            self._uploads.put(Packed(*message[1:]))
        else:
            self.counts.add(message[1])
            self._given[number].popleft()(message[2:])

    def _listed(self, folder: Folder, parts: list[Any], names: list[bytes] | None, answer: Message) -> None:
        self._current = folder.path
        if not answer:
            if names is None:  # the folder is gone
                self._fill(folder.above, "")
            else:
                self._done(folder)
            return
        text, found, gaps, rest, id = answer
        if names is None:
            folder.text = text
        if id:
            self._closed(folder, id)
            return
        parts += found
        for at, part in enumerate(found):
            if isinstance(part, int):
                parts[at] = None
                self._gap(folder, Place(folder, parts, at), gaps[part])
        self._slices(folder, parts, rest)
        self._done(folder)

    def _gap(self, folder: Folder, place: Place, gap: tuple[Any, ...]) -> None:
        folder.waiting += 1
        path = folder.path.rstrip(b"/") + b"/" + gap[1]
        if gap[0] == "folder":
            below = Folder(path, place, gap[2])
            below.waiting = 1
            self._folders.append((below, below.parts, None))
        else:
            self._files.add(path, place, folder.known)

    def _slices(self, folder: Folder, parts: list[Any], rest: list[bytes]) -> None:
        """What is left of a wide folder, for all workers, in messages that are not long."""
        size = min(max(len(rest) // (2 * len(self._pool.numbers)), 1), 1000)
        for at in range(0, len(rest), size):
            slice: list[Any] = []
            parts.append(slice)
            folder.waiting += 1
            self._folders.append((folder, slice, rest[at : at + size]))

    def _fill(self, place: Place | None, text: str) -> None:
        """A text has come; empty: there is none."""
        if place is not None:
            place.parts[place.at] = text
            self._done(place.folder)

    def _done(self, folder: Folder) -> None:
        """One thing less is awaited; folders that are complete by this are closed."""
        open: Folder | None = folder
        while open is not None:
            open.waiting -= 1
            if open.waiting:
                return
            id = self._sink.store(BlobType.TREE, tree(_flat(open.parts)))
            self.counts.folder(bool(open.known), id == open.known)
            open = self._closing(open, id)

    def _closed(self, folder: Folder, id: bytes) -> None:
        """A worker has stored the folder's tree."""
        if (above := self._closing(folder, id)) is not None:
            self._done(above)

    def _closing(self, folder: Folder, id: bytes) -> Folder | None:
        """Puts the folder's text into the one above, and gives that."""
        folder.parts = []
        if folder.above is None:
            self._root = id
            return None
        folder.above.parts[folder.above.at] = folder.text + entries.folder_end(id)
        return folder.above.folder

    def _finish(self) -> None:
        """Brings the rest of the packs to the storage, and their index."""
        for number in self._pool.numbers:
            self._given[number].append(self._ended)
            self._pool.give(number, ("end",))
        while self._pool.outstanding:
            refuse_cancelled(self._cancelled)
            for number, message in self._pool.heard(WAIT):
                self._heard(number, message)
        self._merge()
        self._uploads.settle(wait=True)
        self._uploads.save()
        for at, count in enumerate((*self._sink.blobs, self._sink.added, self._sink.packed)):
            self.stored[at] += count
        self._pace.say(self._progress(), is_last=True)

    def _ended(self, answer: Message) -> None:
        packs, stored = answer
        self._partial += [Packed(*pack) for pack in packs]
        for at, count in enumerate(stored):
            self.stored[at] += count

    def _merge(self) -> None:
        """Makes one pack of those that are not full."""
        for pack in self._partial:
            self._sink.take(pack)
        for pack in self._sink.close():
            self._uploads.put(pack)

    def _progress(self) -> Progress:
        if self._scan:
            self._scan.look()
            self._totals = self._scan.files, self._scan.bytes
        files, bytes = self.counts.files, self.counts.bytes + self._files.bytes
        # A total that was overtaken is of no use to anyone.
        totals = max(self._totals[0], files), max(self._totals[1], bytes)
        return Progress("backup", bytes, totals[1], files, totals[0], self._current.decode("utf-8", "replace"))


def _flat(parts: list[Any]) -> list[str]:
    found: list[str] = []
    for part in parts:
        if isinstance(part, list):
            found += _flat(part)
        elif part:
            found.append(part)
    return found
