"""What a worker of a restore does: a folder with the files in it, and the pieces of big files.

A file is written when all its blobs are there and whole. What it replaces is replaced by a rename, so that a restore
that is killed leaves the one or the other; a new file that is not complete has not its time yet, and is written again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import EngineError
from ..node import Node, parse_tree, permissions
from ..pool import Message, Send
from ..repository import Repository
from . import placing
from .blobs import Blobs
from .model import Overwrite, shown, told
from .select import Selection, below
from .writing import HOLE, SLICE, batch, write_at

LARGE = 8 << 20
"""Bytes above which a file is written by all workers."""


class Worker:
    """One worker. Called with a job, it gives the answer: what it counted, and what else the job asks for."""

    def __init__(
        self,
        repository: Repository,
        blobs: Blobs,
        top: int,
        overwrite: Overwrite,
        delete: bool,
        dry_run: bool,
        send: Send,
        keep: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._repository, self._blobs, self._top, self._send = repository, blobs, top, send
        self._overwrite, self._delete, self._dry_run, self._keep = overwrite, delete, dry_run, keep
        self._counts = [0, 0, 0, 0]
        self._changes: list[tuple[str, str, int]] = []
        self._needs: list[bytes] | None = None
        self._tree: tuple[bytes, list[Node]] = b"", []
        self._path: list[bytes] = []
        os.umask(0)

    def __call__(self, job: Message) -> Message:
        self._counts, self._changes = [0, 0, 0, 0], []
        do: Callable[..., tuple[Any, ...]] = getattr(self, "do_" + job[0])
        answer = do(*job[1:])
        return (tuple(self._counts), self._changes, *answer)

    def do_folder(
        self,
        path: list[bytes],
        tree: bytes,
        raw: bytes | None,
        selection: Selection | None,
        start: int,
        is_there: bool,
        is_new: bool,
    ) -> tuple[Any, ...]:
        """Entries of a folder from `start` on. Answers what is to be done apart, and how many entries it has.

        `is_new`: this restore made it, so that nothing is in it.
        """
        nodes = self._nodes(path, tree, raw)
        self._path = path
        if nodes is None or not self._enter(path, is_there):
            return ([], 0)
        wanted = [(node, part) for node in nodes for is_in, part in [below(selection, node.name)] if is_in]
        if start == 0 and self._delete and selection is None and is_there:
            self._sweep({node.name for node in nodes})
        apart: list[tuple[Any, ...]] = []
        files: list[tuple[Node, bool]] = []
        for node, part in wanted[start : start + SLICE]:
            try:
                self._entry(node, part, apart, files, is_there and not is_new)
            except OSError as error:
                self._lost(node.name, error)
        self._write(files)
        return (apart, len(wanted))

    def do_needs(self, *folder: Any) -> tuple[Any, ...]:
        """As `do_folder`, touching nothing: which blobs its files need."""
        before, self._dry_run, self._needs = self._dry_run, True, []
        try:
            self.do_folder(*folder)
            return (self._needs,)
        finally:
            self._counts, self._changes, self._dry_run, self._needs = [0, 0, 0, 0], [], before, None

    def do_file(self, path: list[bytes], said: tuple[Any, ...]) -> tuple[Any, ...]:
        """One file, written at once: the first name of a hard link."""
        self._path = path
        if self._enter(path, True):
            self._write([(Node(*said), True)])
        return ()

    def do_link(self, path: list[bytes], name: bytes, first: list[bytes], said: tuple[Any, ...]) -> tuple[Any, ...]:
        """One more name of a file that is there; or a file of its own where that cannot be."""
        self._path = path
        if not self._enter(path, True):
            return ()
        node = Node(*said)
        try:
            self._link(first, name)
            self._counts[0] += 1
        except OSError:
            self._write([(node, True)])
        return ()

    def do_begin(self, path: list[bytes], said: tuple[Any, ...], size: int) -> tuple[Any, ...]:
        """A big file under another name, empty and as long as it shall be."""
        self._path = path
        if not self._enter(path, True):
            return ("",)
        node = Node(*said)
        name = placing.TEMPORARY + os.urandom(8).hex().encode()
        try:
            file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
            os.ftruncate(file, size)
            os.close(file)
        except OSError as error:
            self._lost(node.name, error)
            return ("",)
        return (name,)

    def do_pieces(self, path: list[bytes], name: bytes, pieces: list[tuple[bytes, list[int]]]) -> tuple[Any, ...]:
        """Blobs into a big file at their offsets. Answers why one cannot be read, or nothing."""
        self._path = path
        if not self._enter(path, True):
            return ("the folder is gone",)
        try:
            file = os.open(name, os.O_WRONLY | os.O_NOFOLLOW)
        except OSError as error:
            return (error.strerror or str(error),)
        try:
            offsets = dict(pieces)
            for id, content in self._blobs.read(offsets):
                if isinstance(content, EngineError):
                    return (str(content),)
                is_hole = content[:1] == b"\0" and content.count(0) == len(content)
                for offset in offsets[id]:
                    if not is_hole:
                        write_at(file, content, offset)
                    self._counts[1] += len(content)
        except OSError as error:
            raise self._unless_full(error) from error
        finally:
            os.close(file)
        return ("",)

    def do_end(self, path: list[bytes], name: bytes, said: tuple[Any, ...], problem: str) -> tuple[Any, ...]:
        """A big file that is complete gets its name; one that is not is removed."""
        self._path = path
        if not self._enter(path, True):
            return ()
        node = Node(*said)
        try:
            if problem:
                self._note(node.name, f"it is not restored: {problem}")
                os.unlink(name)
                return ()
            file = os.open(name, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                placing.dress(node, file)
            finally:
                os.close(file)
            self._rename(name, node.name)
            self._counts[0] += 1
        except OSError as error:
            self._lost(node.name, error)
        return ()

    def do_close(self, path: list[bytes], said: tuple[Any, ...]) -> tuple[Any, ...]:
        """A folder in which all is done gets its owner, rights and times."""
        self._path = path
        if self._enter(path, True):
            try:
                here = os.open(b".", os.O_RDONLY | os.O_DIRECTORY)
                try:
                    placing.dress(Node(*said), here)
                finally:
                    os.close(here)
            except OSError as error:
                self._note(b"", f"its rights or times cannot be set: {(error.strerror or str(error)).lower()}", False)
        return ()

    def _nodes(self, path: list[bytes], id: bytes, raw: bytes | None) -> list[Node] | None:
        if self._tree[0] != id:
            try:
                plain = (
                    self._repository.read_blob(id)
                    if raw is None
                    else self._repository.codec.decode(id, raw[4:], int.from_bytes(raw[:4], "little"))
                )
                self._tree = id, parse_tree(id, plain)
            except EngineError as error:
                if error.code not in ("damaged", "not_found"):
                    raise
                self._path = path
                self._note(b"", f"what is in it is not restored: {error}")
                return None
        return self._tree[1]

    def _enter(self, path: list[bytes], is_there: bool) -> bool:
        if not is_there:
            return True
        try:
            placing.enter(self._top, path)
        except OSError as error:
            self._note(b"", f"what is in it is not restored: {(error.strerror or str(error)).lower()}")
            return False
        return True

    def _entry(
        self,
        node: Node,
        part: Selection | None,
        apart: list[tuple[Any, ...]],
        files: list[tuple[Node, bool]],
        is_there: bool,
    ) -> None:
        if not placing.is_safe(node.name):
            self._note(node.name, "it is not restored: this cannot be the name of a file")
            return
        found = placing.there(node.name) if is_there else None
        if node.type == "dir" and node.subtree:
            self._folder(node, part, found, apart)
            return
        if found is not None and (
            self._overwrite == "never" or (self._overwrite == "changed" and placing.same(node, found))
        ):
            self._counts[2] += 1
            self._change(node.name, "same", node.size)
            if self._overwrite == "changed" and not self._dry_run and _differs(node, found):
                self._dress(node)
            if node.type == "file" and node.links > 1 and not self._dry_run:
                apart.append(("kept", told(node)))
            return
        self._change(node.name, "add" if found is None else "change", node.size)
        if self._needs is not None:
            self._needs += node.content or []
        if self._dry_run:
            self._counts[0] += 1
            self._counts[1] += node.size
            return
        if found is not None and stat.S_ISDIR(found.st_mode):
            self._clear(node.name)
        if node.type == "file" and node.links > 1:
            apart.append(("link", told(node)))
        elif node.type == "file" and node.size > LARGE:
            apart.append(("large", told(node)))
        elif node.type == "file":
            files.append((node, found is not None))
        else:
            self._special(node, found is not None)

    def _folder(
        self, node: Node, part: Selection | None, found: os.stat_result | None, apart: list[tuple[Any, ...]]
    ) -> None:
        is_there = found is not None and stat.S_ISDIR(found.st_mode)
        if found is not None and not is_there:
            if self._overwrite == "never":
                self._counts[2] += 1
                return
            self._change(node.name, "change", 0)
            if not self._dry_run:
                os.unlink(node.name)
        elif found is None:
            self._change(node.name, "add", 0)
        if not is_there and not self._dry_run:
            os.mkdir(node.name, 0o700)
        # A folder above what was chosen keeps its own rights and times, when it was there before.
        dressed = not self._dry_run and (not is_there or (part is None and self._overwrite != "never"))
        apart.append(("folder", told(node), part, is_there or not self._dry_run, not is_there, dressed))

    def _special(self, node: Node, is_there: bool) -> None:
        if is_there:
            os.unlink(node.name)
        placing.special(node)
        placing.dress(node, node.name)
        self._counts[0] += 1

    def _dress(self, node: Node) -> None:
        if node.type != "file":
            placing.dress(node, node.name)
            return
        file = os.open(node.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            placing.dress(node, file)
        finally:
            os.close(file)

    def _write(self, files: list[tuple[Node, bool]]) -> None:
        """Files of this folder, as many at once as memory allows."""
        waiting = iter(files)
        while some := list(batch(waiting)):
            content = dict(self._blobs.read(id for node, _ in some for id in node.content or ()))
            for node, is_there in some:
                pieces = [content[id] for id in node.content or ()]
                bad = next((each for each in pieces if isinstance(each, EngineError)), None)
                if bad is not None:
                    self._note(node.name, f"it is not restored: {bad}")
                    continue
                try:
                    self._file(node, [each for each in pieces if isinstance(each, bytes)], is_there)
                except OSError as error:
                    self._lost(node.name, error)

    def _file(self, node: Node, pieces: list[bytes], is_there: bool) -> None:
        name = placing.TEMPORARY + os.urandom(8).hex().encode() if is_there else node.name
        rights = node.mode & 0o777
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, rights)
        try:
            size = 0
            for piece in pieces:
                write_at(file, piece, size)
                size += len(piece)
            if size >= HOLE:
                os.ftruncate(file, size)
            placing.dress(node, file, is_new=True)
        except BaseException:
            os.unlink(name)
            raise
        finally:
            os.close(file)
        if is_there:
            self._rename(name, node.name)
        self._counts[0] += 1
        self._counts[1] += size

    def _rename(self, name: bytes, to: bytes) -> None:
        try:
            os.rename(name, to)
        except OSError:
            os.unlink(name)
            raise

    def _link(self, first: list[bytes], name: bytes) -> None:
        """The folder of the first name is entered by the same rules, and this one is where we are."""
        here = os.open(b".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            placing.enter(self._top, first[:-1])
            beside = placing.TEMPORARY + os.urandom(8).hex().encode()
            os.link(first[-1], beside, dst_dir_fd=here, follow_symlinks=False)
            os.rename(beside, name, src_dir_fd=here, dst_dir_fd=here)
            with suppress(FileNotFoundError):  # both were names of the same file already, so that nothing was renamed
                os.unlink(beside, dir_fd=here)
        finally:
            os.fchdir(here)
            os.close(here)

    def _clear(self, name: bytes) -> None:
        """A folder where a file shall be: it goes only when what is not in the snapshot may be deleted."""
        if not self._delete:
            raise OSError(errno.EISDIR, "a folder is in its place; restore with delete, or move it away")
        placing.remove(name)

    def _sweep(self, names: set[bytes]) -> None:
        for each in sorted(set(os.listdir(b".")) - names):
            if self._keep is not None and self._keep(b"/".join((b"", *self._path, each))):
                continue
            self._change(each, "remove", 0)
            self._counts[3] += 1
            if not self._dry_run:
                try:
                    placing.remove(each)
                except OSError as error:
                    self._note(each, f"it is not removed: {(error.strerror or str(error)).lower()}", False)

    def _change(self, name: bytes, kind: str, size: int) -> None:
        if self._dry_run and self._needs is None:
            self._changes.append((shown([*self._path, name]), kind, size))

    def _lost(self, name: bytes, error: OSError) -> None:
        self._unless_full(error)
        self._note(name, f"it is not restored: {(error.strerror or str(error)).lower()}")

    def _unless_full(self, error: OSError) -> OSError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(
                "no_space", "cannot go on: the disk of the target is full; make room there and go on"
            ) from error
        return error

    def _note(self, name: bytes, problem: str, is_left_out: bool = True) -> None:
        if self._needs is None:
            self._send(("note", shown([*self._path, name] if name else self._path), problem, is_left_out))


def _differs(node: Node, found: os.stat_result) -> bool:
    """Whether rights or owner are not those of the node."""
    if node.type == "symlink":
        return False
    owner = os.geteuid() == 0 and (found.st_uid, found.st_gid) != (node.uid, node.gid)
    return owner or stat.S_IMODE(found.st_mode) != permissions(node.mode)
