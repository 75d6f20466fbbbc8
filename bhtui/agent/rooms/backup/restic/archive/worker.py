"""What a worker of a backup does: folders, the pieces of big files, and what commands print.

A folder is taken whole: listed, compared with the one in the parent snapshot, read, stored, and told as one text. What
must be waited for, a folder within or a big file, leaves a gap in the text, which the giver of the work fills.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..blob import BlobType, name
from ..errors import EngineError
from ..node import name_text, tree
from ..pool import Message, Send
from ..repository import Repository
from . import entries, large
from .claims import Claims
from .counts import Counts
from .known import Known
from .reading import opened, settled, signature, slurp
from .sink import Packed, Sink

SLICE_NAMES = 1000
SLICE_BYTES = 32 << 20
"""After so many names, or bytes that were read, a folder is handed back for others to go on with."""
_TRIES = 2


class Gone(Exception):
    """The entry is no longer there, or cannot be read; it was said."""


class Worker:
    """One worker. Called with a job, it gives the answer."""

    def __init__(
        self,
        repository: Repository,
        claims: Claims,
        scratch: Path,
        is_out: Callable[[bytes], bool] | None,
        force: bool,
        send: Send,
    ) -> None:
        self._repository, self._is_out, self._force, self._send = repository, is_out, force, send
        self._sink = Sink(repository.index, repository.key, repository.codec, claims, scratch, self._told)
        self._counts = Counts()
        self._known: tuple[bytes, Known] | None = None
        self._holes: dict[int, bytes] = {}

    def __call__(self, job: Message) -> Message:
        self._counts = Counts()
        do: Callable[..., tuple[Any, ...]] = getattr(self, "do_" + job[0])
        try:
            answer = do(*job[1:])
        except Gone:
            answer = ()
        return (tuple(self._counts.all), *answer)

    def do_folder(self, path: bytes, names: list[bytes] | None, parent: bytes, raw: bytes | None) -> tuple[Any, ...]:
        """A folder (`names`: these entries of it). Answers the text of its own entry so far, the texts of what is in it
        with numbers for gaps, the gaps, the names left over, and its tree when it is complete."""
        text, found = self._enter(path, names)
        known = self._parent(parent, raw)
        parts: list[str | int] = []
        gaps: list[tuple[Any, ...]] = []
        stop = self._counts.bytes_read + SLICE_BYTES
        rest: list[bytes] = []
        for at, each in enumerate(found):
            if at >= SLICE_NAMES or self._counts.bytes_read > stop:
                rest = found[at:]
                break
            if self._is_out and self._is_out(_join(path, each)):
                continue
            try:
                said = self._entry(path, each, known)
            except Gone:
                continue
            if isinstance(said, str):
                parts.append(said)
            else:
                parts.append(len(gaps))
                gaps.append(said)
        if gaps or rest or not text:
            return (text, _joined(parts), gaps, rest, b"")
        whole = tree(part for part in parts if isinstance(part, str))
        return (text, [], [], [], self._stored_tree(whole, parent, known))

    def do_cut(self, path: bytes, offset: int) -> tuple[Any, ...]:
        """The pieces of a big file from an offset on, whether they reach the end, and the file's signature."""
        with self._file(path) as file:
            st = os.fstat(file.number)
            if not offset:
                settled(st)
            found, is_end = large.cut(file.number, offset, st.st_blocks * 512 < st.st_size)
            return (found, is_end, signature(st))

    def do_pieces(self, path: bytes, pieces: list[large.Piece]) -> tuple[Any, ...]:
        """The ids of pieces, which are stored, and how many bytes they are."""
        before = self._counts.bytes_read
        with self._file(path) as file:
            ids = b"".join(self._piece(file.number, *piece) for piece in pieces)
        return (ids, self._counts.bytes_read - before)

    def do_file(
        self,
        path: bytes,
        size: int,
        content: str,
        before: tuple[int, ...],
        is_last: bool,
        parent: bytes,
        raw: bytes | None,
    ) -> tuple[Any, ...]:
        """The text of a big file whose pieces are stored; empty: it has changed meanwhile and shall be read again."""
        with self._file(path) as file:
            st = os.fstat(file.number)
            each = path.rpartition(b"/")[2]
            if signature(st) != tuple(before):
                if not is_last:
                    return ("",)
                self._note(path, "it changed while it was read; what is stored may be of two moments")
            # Of a file that grows on, what is said is what was read: the next backup then sees that it is longer.
            text = entries.beginning(each, st, size) + entries.attributes(file.number) + entries.file_end(content)
            known = self._parent(parent, raw)
            self._counts.file(size, known.text(name_text(each)) if known else "", text, is_read=False)
            return (text,)

    def do_virtual(self, name: bytes, command: list[str], env: dict[str, str]) -> tuple[Any, ...]:
        """What a command prints: size and content. Raises EngineError when it fails."""
        from .virtual import stream

        ids: list[str] = []

        def take(piece: memoryview) -> None:
            ids.append(self._sink.store(BlobType.DATA, piece).hex())

        size = stream(command, env, take)
        self._counts.file(size, "", name.decode("utf-8", "replace"), is_read=True)
        return (size, ",".join(f'"{id}"' for id in ids))

    def do_end(self) -> tuple[Any, ...]:
        """The packs that are not full, and how much was stored."""
        sink = self._sink
        return ([tuple(pack) for pack in sink.close()], (*sink.blobs, sink.added, sink.packed))

    def _enter(self, path: bytes, names: list[bytes] | None) -> tuple[str, list[bytes]]:
        """Goes into a folder; every name is relative from here. Its own text, and its names in order."""
        try:
            folder = opened(path, os.O_DIRECTORY)
        except OSError as error:
            raise self._gone(path, error) from error
        try:
            os.fchdir(folder)
            if names is not None:
                return "", names
            text = entries.beginning(path.rpartition(b"/")[2], os.fstat(folder), 0) + entries.attributes(folder)
            return text, sorted(os.listdir(b"."))
        except OSError as error:
            raise self._gone(path, error) from error
        finally:
            os.close(folder)

    def _parent(self, id: bytes, raw: bytes | None) -> Known | None:
        """The tree of the folder in the parent snapshot."""
        if not id:
            return None
        if self._known is None or self._known[0] != id:
            try:
                plain = self._repository.read_blob(id) if raw is None else self._opened(id, raw)
            except EngineError as error:
                if error.code not in ("damaged", "not_found"):
                    raise
                self._note(b"", f"a folder of the parent snapshot is read anew, for {error}")
                return None
            self._known = id, Known(plain.decode("utf-8", "replace"), self._repository.index)
        return self._known[1]

    def _opened(self, id: bytes, raw: bytes) -> bytes:
        """A sealed tree as it was handed over: its raw length in front; empty: it was not found."""
        return self._repository.codec.decode(id, raw[4:], int.from_bytes(raw[:4], "little"))

    def _entry(self, path: bytes, each: bytes, known: Known | None) -> str | tuple[Any, ...]:
        try:
            st = os.lstat(each)
            if stat.S_ISREG(st.st_mode):
                return self._regular(path, each, st, known)
            if stat.S_ISDIR(st.st_mode):
                return ("folder", each, known.subtree(name_text(each)) if known else b"")
            target = os.readlink(each) if stat.S_ISLNK(st.st_mode) else b""
            text = entries.special(each, st, target, entries.attributes(each))
        except OSError as error:
            raise self._gone(_join(path, each), error) from error
        self._counts.file(0, known.text(name_text(each)) if known else "", text, is_read=False)
        return text

    def _regular(self, path: bytes, each: bytes, st: os.stat_result, known: Known | None) -> str | tuple[Any, ...]:
        beginning = entries.beginning(each, st, st.st_size)
        if known is not None and not self._force:
            text = known.same(beginning)
            if text is None:
                said = known.same_file(name_text(each), st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
                text = None if said is None else beginning + entries.attributes(each) + entries.file_end(said)
            if text is not None:
                self._counts.file(st.st_size, text, text, is_read=False)
                return text
        if st.st_size > large.LARGE:
            return ("large", each)
        for _ in range(_TRIES):
            settled(st)
            file = opened(each)
            try:
                content = slurp(file, st.st_size, large.LARGE)
                before, st = st, os.fstat(file)
            finally:
                os.close(file)
            if len(content) > large.LARGE:
                return ("large", each)
            if signature(before) == signature(st):
                break
            beginning = entries.beginning(each, st, st.st_size)
        else:
            self._note(_join(path, each), "it changed while it was read; what is stored may be of two moments")
        if len(content) != st.st_size:
            beginning = entries.beginning(each, st, len(content))
        ids = [self._sink.store(BlobType.DATA, piece).hex() for piece in large.pieces(content)]
        text = beginning + entries.attributes(each) + entries.file_end(",".join(f'"{id}"' for id in ids))
        self._counts.file(len(content), known.text(name_text(each)) if known else "", text, is_read=True)
        return text

    def _piece(self, file: int, offset: int, length: int, is_hole: bool) -> bytes:
        if is_hole and length in self._holes:
            self._counts.read(length)
            return self._holes[length]
        content = large.read(file, offset, length)
        self._counts.read(len(content))
        id = self._sink.store(BlobType.DATA, memoryview(content)) if content else b""
        if is_hole and id == name(bytes(length)):
            self._holes[length] = id
        return id

    def _stored_tree(self, whole: bytes, parent: bytes, known: Known | None) -> bytes:
        if known and whole == known.raw.encode():
            self._counts.folder(True, True)
            return parent
        self._counts.folder(known is not None, False)
        return self._sink.store(BlobType.TREE, whole)

    def _file(self, path: bytes) -> _File:
        try:
            return _File(path, self)
        except OSError as error:
            raise self._gone(path, error) from error

    def _gone(self, path: bytes, error: OSError) -> Gone:
        if isinstance(error, FileNotFoundError):
            self._note(path, "it vanished while the backup ran")
        else:
            self._note(path, f"it cannot be read: {(error.strerror or str(error)).lower()}", is_left_out=True)
        return Gone()

    def _note(self, path: bytes, problem: str, is_left_out: bool = False) -> None:
        self._send(("note", path, problem, is_left_out))

    def _told(self, pack: Packed) -> None:
        self._send(("pack", *pack))


class _File:
    """An open file, whose errors while it is read are said of it."""

    def __init__(self, path: bytes, worker: Worker) -> None:
        self._path, self._worker = path, worker
        self.number = opened(path)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        os.close(self.number)
        if isinstance(error, OSError):
            raise self._worker._gone(self._path, error) from error


def _join(path: bytes, each: bytes) -> bytes:
    return path + each if path == b"/" else path + b"/" + each


def _joined(parts: list[str | int]) -> list[str | int]:
    """Texts that follow one another become one."""
    found: list[str | int] = []
    run: list[str] = []
    for part in parts:
        if isinstance(part, str):
            run.append(part)
            continue
        if run:
            found.append(",".join(run))
            run = []
        found.append(part)
    if run:
        found.append(",".join(run))
    return found
