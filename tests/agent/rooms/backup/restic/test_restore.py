"""Restores: what was taken comes back to the bit, nothing outside the target is touched, damage costs what it hurts."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.rooms.backup.restic import node
from bhtui.agent.rooms.backup.restic.archive import Virtual
from bhtui.agent.rooms.backup.restic.blob import BlobType, name
from bhtui.agent.rooms.backup.restic.errors import EngineError
from bhtui.agent.rooms.backup.restic.index import document
from bhtui.agent.rooms.backup.restic.node import MODE_DIR, MODE_SYMLINK, Node
from bhtui.agent.rooms.backup.restic.pack import PackWriter
from bhtui.agent.rooms.backup.restic.progress import Note, Progress
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.restore import Overwrite, Restored, restore
from bhtui.agent.rooms.backup.restic.snapshot import Snapshot
from bhtui.agent.rooms.backup.restic.storage.local import Local
from tests.agent.rooms.backup.restic.nasty import grow, repository, seen, take
from tests.agent.rooms.backup.restic.stock import restic


def put(
    repo: Path | Repository,
    snapshot: Snapshot,
    target: Path,
    *,
    paths: Sequence[bytes] = (),
    strip: Path | None = None,
    overwrite: Overwrite = "changed",
    delete: bool = False,
    dry_run: bool = False,
    notes: list[Note] | None = None,
    progress: Any = lambda _: None,
) -> Restored:
    """A restore with two workers."""
    return restore(
        repository(repo) if isinstance(repo, Path) else repo,
        snapshot,
        target,
        paths=paths,
        strip=os.fsencode(strip) if strip else b"",
        overwrite=overwrite,
        delete=delete,
        dry_run=dry_run,
        progress=progress,
        note=(notes if notes is not None else []).append,
        cancelled=threading.Event(),
        workers=2,
    )


def changes(done: Restored) -> set[tuple[str, str]]:
    return {(each.path, each.kind) for each in done.changes}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    grow(tmp_path / "source", depth=60)
    return tmp_path / "source"


class _Elsewhere(Local):
    """A storage that only threads of the giving process can read, like one behind a network."""

    scratch = None  # type: ignore[assignment]

    def put(self, kind: Any, name: str, file: Path) -> None:
        self.write(kind, name, file.read_bytes())
        file.unlink()

    def write(self, kind: Any, name: str, content: bytes) -> None:
        Local(self._folder).write(kind, name, content)

    def local(self, kind: Any, name: str) -> None:  # type: ignore[override]
        return None


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_everything_comes_back(tmp_path: Path, source: Path, where: str) -> None:
    repo, target, notes, said = tmp_path / "repo", tmp_path / "out", list[Note](), list[Progress]()
    made = take(repo, source)
    opened = repository(repo)
    if where == "elsewhere":
        opened.storage = _Elsewhere(repo)
    done = put(opened, made, target, strip=source, notes=notes, progress=said.append)
    assert notes == []
    assert seen(target) == seen(source)
    assert (target / "sparse").stat().st_blocks < 1000
    assert made.summary
    assert done.files == made.summary.total_files_processed == said[-1].files
    assert done.lost == done.skipped == 0
    assert restic(repo, "check", "--read-data")
    again = put(opened, made, target, strip=source)
    assert (again.files, again.skipped) == (0, done.files)
    assert seen(target) == seen(source)


def test_what_stock_restic_took_comes_back(tmp_path: Path) -> None:
    source, repo = tmp_path / "source", tmp_path / "repo"
    grow(source)
    (source / os.fsdecode(b"\xff\xfe-link")).unlink()  # before version 0.16 it spoils such targets
    (source / "socket").unlink()
    repository(repo)
    restic(repo, "backup", str(source))
    (theirs,) = repository(repo).snapshots()
    put(repo, theirs, tmp_path / "out", strip=source)
    assert seen(tmp_path / "out") == seen(source)
    put(repo, theirs, tmp_path / "whole")
    assert seen(tmp_path / "whole" / source.relative_to("/")) == seen(source)


def test_some_paths(tmp_path: Path, source: Path) -> None:
    made = take(tmp_path / "repo", source)
    target = tmp_path / "out"
    done = put(
        tmp_path / "repo", made, target, paths=[os.fsencode(source / "wide" / "00003"), os.fsencode(source / "fifo")]
    )
    assert done.files == 2
    inside = target / source.relative_to("/")
    assert sorted(os.listdir(inside)) == ["fifo", "wide"]
    assert os.listdir(inside / "wide") == ["00003"]
    assert stat.S_IMODE((inside / "wide").stat().st_mode) == stat.S_IMODE((source / "wide").stat().st_mode)
    for wrong, code in ((b"/none", "not_found"), (b"/../etc", "refused")):
        with pytest.raises(EngineError) as error:
            put(tmp_path / "repo", made, target, paths=[wrong])
        assert error.value.code == code
    with pytest.raises(EngineError, match="not all that is restored is below it"):
        put(tmp_path / "repo", made, target, strip=tmp_path / "other")


def test_overwriting_and_deleting_are_told_first(tmp_path: Path) -> None:
    source, repo, target = tmp_path / "source", tmp_path / "repo", tmp_path / "out"
    source.mkdir()
    for each in ("same", "changed", "gone", "folder-now", "link-now"):
        (source / each).write_text(each)
    (source / "sub").mkdir()
    (source / "sub" / "in").write_text("x")
    made = take(repo, source)
    shutil.copytree(source, target)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "in").write_text("precious")
    (target / "changed").write_text("something else")
    for each in ("gone", "folder-now", "link-now"):
        (target / each).unlink()
    (target / "folder-now").mkdir()
    (target / "folder-now" / "file").touch()
    (target / "link-now").symlink_to(outside / "in")
    shutil.rmtree(target / "sub")
    (target / "sub").symlink_to(outside)
    (target / "extra").mkdir()
    (target / "extra" / "out").symlink_to(outside)
    before = seen(target)
    told = put(repo, made, target, strip=source, delete=True, dry_run=True)
    assert seen(target) == before
    assert changes(told) == {
        ("same", "same"), ("changed", "change"), ("gone", "add"), ("folder-now", "change"), ("link-now", "change"),
        ("sub", "change"), ("sub/in", "add"), ("extra", "remove"),
    }  # fmt: skip
    done = put(repo, made, target, strip=source, overwrite="never")
    assert (done.files, done.skipped) == (1, 5)
    assert (target / "changed").read_text() == "something else"
    notes: list[Note] = []
    done = put(repo, made, target, strip=source, notes=notes)
    assert [(note.path, note.is_left_out) for note in notes] == [("folder-now", True)]
    assert "a folder is in its place" in notes[0].problem
    done = put(repo, made, target, strip=source, overwrite="always", delete=True)
    assert (done.files, done.removed) == (6, 1)
    assert seen(target) == seen(source)
    assert (outside / "in").read_text() == "precious"


def test_deleting_never_touches_what_is_beside(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "file").touch()
    made = take(tmp_path / "repo", source)
    put(tmp_path / "repo", made, target)
    (target / "tmp" / "other").mkdir()
    (target / "beside").touch()
    inside = target / source.relative_to("/")
    (inside / "extra").touch()
    done = put(tmp_path / "repo", made, target, delete=True)
    assert done.removed == 1
    assert os.listdir(inside) == ["file"]
    assert (target / "tmp" / "other").exists() and (target / "beside").exists()


def forged(repo: Path, *trees: list[Node]) -> Snapshot:
    """A snapshot that no honest program makes. A tree is named by its number in `subtree`; the last is the top."""
    made = repository(repo)
    writer = PackWriter(made.storage.scratch, BlobType.TREE)
    ids: list[bytes] = []
    for nodes in trees:
        for each in nodes:
            if each.subtree is not None:
                each.subtree = ids[each.subtree[0]]
        plain = node.tree(map(node.encode, nodes))
        ids.append(name(plain))
        writer.add(ids[-1], *made.codec.encode(plain))
    done = writer.finish(made.key)
    made.storage.put("data", done.id.hex(), done.file)
    made.save("index", document({done.id: done.blobs}))
    return Snapshot(1, ids[-1], (), "here")


@pytest.mark.parametrize("bad", [b"..", b".", b"a/b", b"../outside", b"/etc/x", b"nul\0"])
def test_a_name_leads_nowhere_else(tmp_path: Path, bad: bytes) -> None:
    notes: list[Note] = []
    inner = [Node(b"in", "file", 0o644, content=[])]
    top = [
        Node(bad, "file", 0o644, content=[]),
        Node(bad, "dir", MODE_DIR | 0o755, subtree=b"\0"),
        Node(b"ok", "file", content=[]),
    ]
    snapshot = forged(tmp_path / "repo", inner, top)
    (tmp_path / "out").mkdir()
    put(tmp_path / "repo", snapshot, tmp_path / "out", notes=notes)
    assert sorted(os.listdir(tmp_path)) == ["out", "repo"]
    assert os.listdir(tmp_path / "out") == ["ok"]
    assert {note.problem for note in notes} == {"it is not restored: this cannot be the name of a file"}


def test_a_link_in_the_snapshot_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    link = Node(b"x", "symlink", MODE_SYMLINK | 0o777, linktarget=os.fsencode(tmp_path / "outside"))
    inner = [Node(b"in", "file", 0o644, content=[])]
    for order in (0, 1):
        folder = Node(b"x", "dir", MODE_DIR | 0o755, subtree=b"\0")
        snapshot = forged(tmp_path / f"repo{order}", inner, [link, folder] if order else [folder, link])
        put(tmp_path / f"repo{order}", snapshot, tmp_path / f"out{order}", overwrite="always")
    assert os.listdir(tmp_path / "outside") == []


def test_a_link_that_someone_puts_there_is_not_followed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "file").write_text("x")
    made = take(tmp_path / "repo", source)
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "outside")
    put(tmp_path / "repo", made, tmp_path / "out", strip=source, overwrite="never")
    put(tmp_path / "repo", made, tmp_path / "out", strip=source)
    assert os.listdir(tmp_path / "outside") == []
    assert (tmp_path / "out" / "a" / "b" / "file").read_text() == "x"


def test_a_damaged_blob_costs_the_files_it_is_in(tmp_path: Path) -> None:
    source, repo, notes = tmp_path / "source", tmp_path / "repo", list[Note]()
    source.mkdir()
    for each in range(20):
        (source / f"{each:02}").write_bytes(os.urandom(5000))
    (source / "twin").write_bytes((source / "07").read_bytes())
    (source / "big").write_bytes(os.urandom(12 << 20))
    made = take(repo, source)
    opened = repository(repo)
    place = opened.index.get(name((source / "07").read_bytes()))
    assert place
    pack = repo / "data" / place.pack.hex()[:2] / place.pack.hex()
    raw = bytearray(pack.read_bytes())
    raw[place.offset + 100] ^= 1
    pack.write_bytes(raw)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "07").write_text("what was there")
    done = put(repo, made, tmp_path / "out", strip=source, notes=notes)
    assert {note.path for note in notes if note.is_left_out} == {"07", "twin"}
    assert (done.files, done.lost) == (20, 2)
    assert (tmp_path / "out" / "07").read_text() == "what was there"
    assert sorted(os.listdir(tmp_path / "out")) == sorted({*os.listdir(source)} - {"twin"})
    last = max(
        (place for id, place in opened.index if place.type == BlobType.DATA), key=lambda each: each.raw or each.length
    )
    (repo / "data" / last.pack.hex()[:2] / last.pack.hex()).unlink()
    notes.clear()
    put(repo, made, tmp_path / "out2", strip=source, notes=notes)
    assert "big" in {note.path for note in notes if note.is_left_out}
    assert not any(each.startswith(".blackhole") for each in os.listdir(tmp_path / "out2"))


def test_a_command_s_output_comes_back(tmp_path: Path) -> None:
    made = take(tmp_path / "repo", virtual=[Virtual(b"/db/dump", ["echo", "content"])])
    put(tmp_path / "repo", made, tmp_path / "out")
    assert (tmp_path / "out" / "db" / "dump").read_text() == "content\n"
