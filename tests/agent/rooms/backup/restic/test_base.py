"""The format, judged by stock restic: what we write it reads, what it writes we read, to the byte."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.backup.restic import derivation, gotime, keyfile, lock, node, polynomial
from bhtui.agent.rooms.backup.restic.blob import BlobType, Place, name
from bhtui.agent.rooms.backup.restic.crypto import OVERHEAD, Key, KeyMaterial, Unauthentic
from bhtui.agent.rooms.backup.restic.errors import EngineError
from bhtui.agent.rooms.backup.restic.index import Index, document
from bhtui.agent.rooms.backup.restic.pack import PackWriter, header
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.snapshot import document as snapshot_document
from bhtui.agent.rooms.backup.restic.storage.local import Local
from tests.agent.rooms.backup.restic.stock import PASSWORD, restic


@pytest.fixture
def made(tmp_path: Path) -> Repository:
    return Repository.create(Local(tmp_path / "repo"), PASSWORD, time.time_ns())


@given(st.binary(max_size=2000), st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_one_flipped_bit_is_seen(plain: bytes, byte: int, bit: int) -> None:
    key = Key(KeyMaterial.random())
    sealed = bytearray(key.seal(plain))
    assert len(sealed) == len(plain) + OVERHEAD
    assert key.another().open(bytes(sealed)) == plain
    sealed[byte % len(sealed)] ^= 1 << bit
    with pytest.raises(Unauthentic):
        key.open(bytes(sealed))


@given(st.binary(min_size=1, max_size=60))
def test_any_name_comes_back(raw: bytes) -> None:
    assert node.unquote(node.quote(raw)) == raw
    text = node.tree([node.encode(node.Node(raw, "symlink", linktarget=raw))])
    (found,) = node.parse_tree(bytes(32), text)
    assert (found.name, found.linktarget) == (raw, raw)


@given(st.integers(min_value=-62135596800 * 10**9, max_value=253402300799 * 10**9))
def test_any_time_comes_back(ns: int) -> None:
    assert gotime.parse(gotime.text(ns)) == ns


def test_times_of_other_zones() -> None:
    assert gotime.text(gotime.parse("2024-02-29T23:30:00.5-01:30")) == "2024-03-01T01:00:00.5Z"


def test_a_polynomial_is_irreducible() -> None:
    assert polynomial.is_irreducible(0x3DA3358B4DC173)  # the one of the design's example
    assert not polynomial.is_irreducible(0x3DA3358B4DC173 ^ 2)
    assert polynomial.random_irreducible().bit_length() == 54


def test_stock_restic_opens_ours_and_we_its(tmp_path: Path, made: Repository) -> None:
    folder = tmp_path / "repo"
    config = json.loads(restic(folder, "cat", "config"))
    assert config == {"version": 2, "id": made.id, "chunker_polynomial": f"{made.polynomial:x}"}
    restic(folder, "list", "keys", password="wrong", code=1)
    restic(tmp_path / "theirs", "init", "--repository-version", "2")
    assert Repository.open(Local(tmp_path / "theirs"), PASSWORD).id != made.id


def test_every_byte_of_what_stock_restic_wrote_is_written_the_same(tmp_path: Path) -> None:
    """Trees are hashed as text: decoding and encoding one gives the very same bytes."""
    source = tmp_path / "source"
    source.mkdir()
    for each in (
        b"plain",
        b"sp ace",
        b"quote\"'\\",
        b"new\nline",
        b"\xff\xfe",
        "ä€😀\u2028".encode(),
        b"<&>",
        b"\x01\x7f",
    ):
        (source / os.fsdecode(each)).write_bytes(each * 1000)
        (source / os.fsdecode(each + b"-link")).symlink_to(each.decode("utf-8", "ignore") or "target")
    (source / "empty").touch()
    (source / "deep" / "er").mkdir(parents=True)
    os.link(source / "plain", source / "deep" / "hard")
    os.mkfifo(source / "fifo")
    os.setxattr(source / "plain", "user.note", b"\x00\xff")
    os.chmod(source / "deep", 0o7755)
    folder = tmp_path / "theirs"
    restic(folder, "init", "--repository-version", "2")
    restic(folder, "backup", str(source), "--tag", "a", "--tag", "b")
    repository = Repository.open(Local(folder), PASSWORD)
    (snapshot,) = repository.snapshots()
    assert (snapshot.tags, snapshot.paths) == (("a", "b"), (str(source),))
    raw = json.loads(restic(folder, "cat", "snapshot", snapshot.id))
    assert {key: value for key, value in snapshot_document(snapshot).items() if key != "time"} == {
        key: value for key, value in raw.items() if key != "time"
    }
    repository.load_index()
    trees = 0
    for id, place in repository.index:
        plain = repository.read_blob(id)
        if place.type == BlobType.TREE:
            trees += 1
            nodes = node.parse_tree(id, plain)
            assert node.tree(map(node.encode, nodes)) == plain
    assert trees >= 4


def test_blobs_and_packs_come_back(made: Repository) -> None:
    writer = PackWriter(made.storage.scratch, BlobType.DATA)
    for plain in (b"", b"x" * 5000, os.urandom(3000)):
        writer.add(name(plain), *made.codec.encode(plain))
    done = writer.finish(made.key)
    made.storage.put("data", done.id.hex(), done.file)
    assert header(made.storage, made.key, done.id.hex(), done.size) == done.blobs
    made.save("index", document({done.id: done.blobs}))
    made.load_index()
    assert made.read_blob(name(b"x" * 5000)) == b"x" * 5000
    assert made.read_blob(name(b"")) == b""
    assert [place.raw for _, place in done.blobs] == [0, 5000, 0]


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**32 - 1)), max_size=50))
def test_the_index_finds_what_was_added(entries: list[tuple[bytes, int]]) -> None:
    index = Index()
    for id, offset in entries:
        index.add(id, Place(id, BlobType.DATA, offset, 40, 0))
    assert len(index) == len(list(index)) == len(entries)
    for id, _ in entries:
        assert {place.offset for place in index.all(id)} == {offset for other, offset in entries if other == id}
    assert index.get(bytes(31) + b"\x07") is None or any(id == bytes(31) + b"\x07" for id, _ in entries)


def test_an_exclusive_lock_keeps_others_out(made: Repository) -> None:
    with lock.Lock(made, exclusive=False, settle=0), lock.Lock(made, exclusive=False, settle=0):
        with (
            pytest.raises(EngineError, match=r"in use by .*shared") as error,
            lock.Lock(made, exclusive=True, settle=0),
        ):
            pass
        assert error.value.code == "locked"
    with lock.Lock(made, exclusive=True, settle=0):
        with pytest.raises(EngineError, match="exclusively"), lock.Lock(made, exclusive=False, settle=0):
            pass
        restic(Path(made.storage.place), "check", code=1)
    assert lock.locks(made) == []
    assert "no errors were found" in restic(Path(made.storage.place), "check")


def test_a_lock_that_comes_while_one_is_taken_is_seen_before_anything_is_read(made: Repository) -> None:
    others: list[str] = []

    def now_ns() -> int:
        """Asked when the lock is written, after it was seen that there is no other."""
        if not others:
            said = {"time": gotime.text(time.time_ns()), "exclusive": True, "hostname": "elsewhere", "pid": 1}
            others.append(made.save("locks", said))
        return time.time_ns()

    read: list[None] = []
    with (
        pytest.raises(EngineError, match="in use by"),
        lock.Lock(made, exclusive=False, now_ns=now_ns, meanwhile=lambda: read.append(None)),
    ):
        pass
    assert read == []
    assert [one.id for one in lock.locks(made)] == others


def test_a_lock_of_the_dead_does_not_count(made: Repository) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    said = {"time": gotime.text(time.time_ns()), "exclusive": True, "hostname": os.uname().nodename, "pid": gone.pid}
    made.save("locks", said)
    made.save("locks", said | {"hostname": "elsewhere", "time": "2020-01-01T00:00:00Z"})
    with lock.Lock(made, exclusive=True, settle=0):
        assert len(lock.locks(made)) == 1


def test_stale_locks_are_removed_by_whoever_comes_and_told(made: Repository) -> None:
    now = time.time_ns()
    elsewhere = {"exclusive": False, "hostname": "elsewhere", "username": "ann", "pid": 1}
    made.save("locks", elsewhere | {"time": gotime.text(now - lock.STALE_NS - 1)})
    kept = made.save("locks", elsewhere | {"time": gotime.text(now - lock.STALE_NS + 60 * gotime.BILLION)})
    told: list[lock.LockInfo] = []
    with lock.Lock(made, exclusive=False, settle=0, removed=told.append):
        assert len(lock.locks(made)) == 2, "one that is not stale stays, also when it is in nobody's way"
    assert [one.id for one in lock.locks(made)] == [kept]
    assert [str(one).startswith("ann@elsewhere, process 1, shared") for one in told] == [True]


@pytest.mark.parametrize(
    ("change", "code"),
    [("password", "wrong_password"), ("config", "damaged"), ("none", "no_repository"), ("key", "damaged")],
)
def test_what_is_wrong_is_said(tmp_path: Path, made: Repository, change: str, code: str) -> None:
    folder = tmp_path / "repo"
    if change == "config":
        (folder / "config").write_bytes(os.urandom(200))
    if change == "key":
        next((folder / "keys").iterdir()).write_text("{}")
    with pytest.raises(EngineError) as error:
        Repository.open(
            Local(tmp_path / "elsewhere" if change == "none" else folder), "x" if change == "password" else PASSWORD
        )
    assert error.value.code == code


def test_another_version_is_refused(tmp_path: Path) -> None:
    restic(tmp_path / "old", "init", "--repository-version", "1")
    with pytest.raises(EngineError, match="version 1") as error:
        Repository.open(Local(tmp_path / "old"), PASSWORD)
    assert error.value.code == "version"


def test_a_second_one_is_not_made_over_it(tmp_path: Path, made: Repository) -> None:
    with pytest.raises(EngineError) as error:
        Repository.create(Local(tmp_path / "repo"), "other", time.time_ns())
    assert error.value.code == "exists"
    assert len(made.list_keys()) == 1


def test_keys_come_and_go(tmp_path: Path, made: Repository) -> None:
    added = made.add_key("second", time.time_ns())
    assert Repository.open(Local(tmp_path / "repo"), "second").id == made.id
    restic(tmp_path / "repo", "cat", "config", password="second")
    with pytest.raises(EngineError, match="in use"):
        made.remove_key(made.key_id[:8])
    made.remove_key(added[:8])
    with pytest.raises(EngineError):
        Repository.open(Local(tmp_path / "repo"), "second")


def test_a_derivation_that_was_begun_ahead_is_the_same(tmp_path: Path, made: Repository) -> None:
    derivation.begin(str(tmp_path / "nothing"), PASSWORD)
    (key,) = (tmp_path / "repo" / "keys").iterdir()
    for password, opens in (("another", False), (PASSWORD, True)):
        derivation.begin(str(tmp_path / "repo"), password)
        assert (keyfile.unlock(key.name, key.read_bytes(), password) is not None) == opens
    said = json.loads(key.read_bytes())
    for wrong in ({"N": 12345}, {"N": 1 << 40}, {"p": 0}, {"salt": 7}, {"kdf": "none"}):
        key.write_text(json.dumps(said | wrong))
        derivation.begin(str(tmp_path / "repo"), PASSWORD)
        with pytest.raises(EngineError, match="cannot be used"):
            keyfile.unlock(key.name, key.read_bytes(), PASSWORD)


def test_what_a_killed_run_left_is_swept(made: Repository) -> None:
    storage = made.storage
    assert isinstance(storage, Local)
    held = PackWriter(storage.scratch, BlobType.DATA)
    (storage.scratch / "pack-left").write_bytes(b"x")
    assert storage.sweep() == 1
    held.abandon()
