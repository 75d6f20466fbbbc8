"""Checking, pruning, repairing, healing, comparing: on repositories that stock restic wrote and then judges."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bhtui.agent.rooms.backup.restic import walk
from bhtui.agent.rooms.backup.restic.check import Checked, check
from bhtui.agent.rooms.backup.restic.diff import diff
from bhtui.agent.rooms.backup.restic.errors import EngineError
from bhtui.agent.rooms.backup.restic.heal import Healed, heal
from bhtui.agent.rooms.backup.restic.lock import Lock
from bhtui.agent.rooms.backup.restic.progress import silent
from bhtui.agent.rooms.backup.restic.prune import Pruned, prune
from bhtui.agent.rooms.backup.restic.repair import Repaired, repair
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.storage.local import Local

from .stock import PASSWORD, restic

NEVER = threading.Event()


class Stock:
    """A repository of stock restic's, and the folder it was made from."""

    def __init__(self, top: Path) -> None:
        self.folder, self.source = top / "repo", top / "source"
        restic(self.folder, "init", "--repository-version", "2")
        random.seed(7)
        for number in range(20):
            self.write(f"folder-{number % 4}/file-{number}", random.randbytes(30_000))
        self.write("big", random.randbytes(5_000_000))
        self.take()

    def write(self, name: str, content: bytes) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def take(self) -> str:
        """The id of a new snapshot."""
        before = set(os.listdir(self.folder / "snapshots"))
        restic(self.folder, "backup", str(self.source))
        (new,) = set(os.listdir(self.folder / "snapshots")) - before
        return new

    def open(self) -> Repository:
        return Repository.open(Local(self.folder), PASSWORD)

    def packs(self) -> list[Path]:
        return sorted((self.folder / "data").glob("*/*"))

    def check(self, read_data: bool = True, ids: tuple[str, ...] = ()) -> Checked:
        return check(self.open(), ids, read_data, silent, NEVER)

    def prune(self, dry_run: bool = False, unused: float = 0.0) -> Pruned:
        repository = self.open()
        with Lock(repository, exclusive=True, settle=0) as lock:
            return prune(repository, lock, dry_run, unused, silent, NEVER)

    def repair(self, dry_run: bool = False) -> Repaired:
        repository = self.open()
        with Lock(repository, exclusive=True, settle=0) as lock:
            return repair(repository, lock, dry_run, silent, NEVER)

    def judge(self) -> None:
        restic(self.folder, "check", "--read-data")
        assert not [one for one in self.check().problems if not one.is_harmless]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    return Stock(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def stock(made: Stock, tmp_path: Path) -> Stock:
    """A copy for each test; its snapshot is of the first one's source."""
    copy = Stock.__new__(Stock)
    copy.folder, copy.source = tmp_path / "repo", made.source
    shutil.copytree(made.folder, copy.folder)
    return copy


def test_a_whole_repository_has_no_problems(stock: Stock) -> None:
    found = stock.check()
    assert (found.problems, found.lost) == ([], set())
    assert found.packs == len(stock.packs())
    assert found.bytes_read == sum(path.stat().st_size for path in stock.packs())


def _delete(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "read_data", "kinds"),
    [
        (_delete, False, {"pack_missing"}),
        (_cut, False, {"pack_short"}),
        (_cut, True, {"pack_short", "blob_damaged"}),
        (_flip, True, {"pack_damaged", "blob_damaged"}),
    ],
)
def test_what_is_wrong_with_a_pack_is_found_and_whom_it_hurts(
    stock: Stock, harm: Callable[[Path], None], read_data: bool, kinds: set[str]
) -> None:
    largest = max(stock.packs(), key=lambda path: path.stat().st_size)
    harm(largest)
    found = stock.check(read_data)
    assert {one.kind for one in found.problems} <= kinds
    assert found.lost
    (id,) = os.listdir(stock.folder / "snapshots")
    assert any(one.hurts == [id] for one in found.problems)
    assert any(path.endswith(("big", "file-0")) or "/file-" in path for path in found.files[id])
    assert stock.check(read_data, (id[:8],)).files == found.files


def test_any_flipped_bit_is_found(stock: Stock) -> None:
    random.seed(3)
    files = [path for path in stock.folder.rglob("*") if path.is_file()]
    for file in files + random.choices(files, k=10):
        content = file.read_bytes()
        damaged = bytearray(content)
        damaged[random.randrange(len(content))] ^= 1 << random.randrange(8)
        file.chmod(0o600)
        file.write_bytes(damaged)
        try:
            found = check(stock.open(), (), True, silent, NEVER)
        except EngineError as error:
            assert error.code in ("damaged", "wrong_password"), file
        else:
            assert [one for one in found.problems if not one.is_harmless], file
        file.write_bytes(content)


def test_pruning_frees_what_was_forgotten_and_nothing_else(made: Stock, tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    first = os.listdir(stock.folder / "snapshots")[0]
    stock.write("big", os.urandom(5_000_000))
    second = stock.take()
    assert stock.prune().bytes_freed == 0
    restic(stock.folder, "forget", first)
    would = stock.prune(dry_run=True)
    assert would.bytes_freed > 4_900_000
    did = stock.prune()
    assert (did.bytes_freed, did.bytes_left) == (would.bytes_freed, would.bytes_left)
    stock.judge()
    assert sum(path.stat().st_size for path in stock.packs()) <= did.bytes_left + 10_000
    restic(stock.folder, "restore", second, "--target", str(tmp_path / "back"))
    assert (tmp_path / "back" / str(stock.source)[1:] / "big").read_bytes() == (stock.source / "big").read_bytes()


def test_pruning_everything_leaves_nothing(stock: Stock) -> None:
    restic(stock.folder, "forget", os.listdir(stock.folder / "snapshots")[0])
    stock.prune()
    assert stock.packs() == []
    stock.judge()


def test_pruning_keeps_off_what_is_damaged(stock: Stock) -> None:
    index = next((stock.folder / "index").iterdir())
    index.unlink()
    before = stock.packs()
    with pytest.raises(EngineError, match=r"no index knows|in no index"):
        stock.prune()
    assert stock.packs() == before


def test_what_a_killed_backup_left_is_pruned(stock: Stock) -> None:
    size = len(stock.packs())
    name = "ab" * 32
    (stock.folder / "data" / "ab").mkdir(exist_ok=True)
    (stock.folder / "data" / "ab" / name).write_bytes(b"x" * 1000)
    (only,) = stock.check().problems
    assert only.is_harmless
    (stock.folder / "tmp").mkdir(exist_ok=True)
    (stock.folder / "tmp" / "pack-left").touch()
    assert stock.prune().bytes_freed == 1000
    assert list((stock.folder / "tmp").iterdir()) == []
    assert len(stock.packs()) == size
    stock.judge()


@pytest.mark.parametrize("harm", [_delete, _cut, _flip])
def test_repair_salvages_the_rest(stock: Stock, harm: Callable[[Path], None], tmp_path: Path) -> None:
    (old,) = os.listdir(stock.folder / "snapshots")
    harm(max(stock.packs(), key=lambda path: path.stat().st_size))
    would = stock.repair(dry_run=True)
    assert os.listdir(stock.folder / "snapshots") == [old]
    did = stock.repair()
    assert did.files_lost == would.files_lost != []
    ((was, now),) = did.rewritten
    assert was == old
    stock.judge()
    restic(stock.folder, "restore", now, "--target", str(tmp_path / "back"))
    top = tmp_path / "back" / str(stock.source)[1:]
    for path in stock.source.rglob("*"):
        if path.is_file():
            back = top / path.relative_to(stock.source)
            beside = back.with_name(back.name + ".damaged")
            assert beside.exists() != back.exists()
            if back.exists():
                assert back.read_bytes() == path.read_bytes()
    assert stock.repair() == Repaired()


def test_repair_of_a_lost_listing_leaves_an_empty_folder(stock: Stock, tmp_path: Path) -> None:
    trees = min(stock.packs(), key=lambda path: path.stat().st_size)
    trees.unlink()
    did = stock.repair()
    assert [path[8:] for path in did.files_lost] == [":/"]
    stock.judge()


def test_repair_takes_in_packs_whose_index_is_lost(stock: Stock) -> None:
    for index in (stock.folder / "index").iterdir():
        index.chmod(0o600)
        _flip(index)
    did = stock.repair()
    assert (did.files_lost, did.rewritten) == ([], [])
    assert did.blobs_found > 0
    stock.judge()


@pytest.mark.parametrize("harm", [_delete, _flip])
def test_healing_takes_from_live_files(made: Stock, stock: Stock, harm: Callable[[Path], None]) -> None:
    for pack in stock.packs():
        if pack.stat().st_size > 20_000:
            harm(pack)
    repository = stock.open()
    with Lock(repository, exclusive=True, settle=0) as lock:
        done = heal(repository, lock, silent, NEVER)
    assert done.healed > 0
    assert done.missing == 0
    stock.judge()
    repository = stock.open()
    with Lock(repository, exclusive=True, settle=0) as lock:
        assert heal(repository, lock, silent, NEVER) == Healed(0, 0)


def test_healing_replaces_damaged_packs_of_which_nothing_is_lost(stock: Stock) -> None:
    pack = max(stock.packs(), key=lambda path: path.stat().st_size)
    pack.write_bytes(pack.read_bytes() + b"more")
    repository = stock.open()
    with Lock(repository, exclusive=True, settle=0) as lock:
        assert heal(repository, lock, silent, NEVER) == Healed(0, 0, 1)
    stock.judge()


def test_a_damaged_pack_stays_while_something_of_it_is_lost(made: Stock, stock: Stock) -> None:
    pack = max(stock.packs(), key=lambda path: path.stat().st_size)
    _flip(pack)
    (made.source / "big").rename(made.source / "away")
    try:
        repository = stock.open()
        with Lock(repository, exclusive=True, settle=0) as lock:
            done = heal(repository, lock, silent, NEVER)
    finally:
        (made.source / "away").rename(made.source / "big")
    assert (done.healed, done.missing > 0, done.packs_removed) == (0, True, 0)
    assert pack.exists()


def test_differences_are_those_of_the_files(tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    first = os.listdir(stock.folder / "snapshots")[0]
    stock.write("new/file", b"1")
    (stock.source / "folder-1" / "file-1").unlink()
    stock.write("big", b"other")
    os.utime(stock.source / "folder-2" / "file-2", (1, 1))
    second = stock.take()
    repository = stock.open()
    a, b = repository.snapshot(first), repository.snapshot(second[:10])
    repository.load_index()
    top = str(stock.source)
    files = {
        os.fsdecode(one.path).removeprefix(top): one.kind
        for one in diff(repository, a.tree, b.tree)
        if one.kind != "meta" or b"file-" in one.path
    }
    assert files == {
        "/new": "added",
        "/new/file": "added",
        "/folder-1/file-1": "removed",
        "/big": "changed",
        "/folder-2/file-2": "meta",
    }
    found = walk.find(repository, b, os.fsencode(f"{top}/big"))
    assert found is not None
    assert found.size == 5
    listed = [path for path, _ in walk.entries(repository, b.tree, recursive=True)]
    assert len(listed) == len(set(listed)) > 25


def test_an_unknown_or_short_id_is_said(stock: Stock) -> None:
    (id,) = os.listdir(stock.folder / "snapshots")
    repository = stock.open()
    assert repository.snapshot(id[:6].upper()).id == id
    for wrong in ("", "zz", "0" * 64 if id[0] != "0" else "f" * 64):
        with pytest.raises(EngineError, match="cannot find the snapshot"):
            repository.snapshot(wrong)
    assert time.time_ns() > repository.snapshot(id).time_ns
