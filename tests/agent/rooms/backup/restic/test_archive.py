"""Backups: what is taken is what stock restic gives back, and what has not changed is not read again."""

from __future__ import annotations

import os
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.backup.restic import node
from bhtui.agent.rooms.backup.restic.archive import Virtual, backup, entries
from bhtui.agent.rooms.backup.restic.errors import EngineError
from bhtui.agent.rooms.backup.restic.progress import Note, Progress
from bhtui.core.errors import UsageError
from bhtui.core.excludes import compiled
from tests.agent.rooms.backup.restic.nasty import grow, repository, seen, take, tree_of
from tests.agent.rooms.backup.restic.stock import restic
from tests.waiting import until


@pytest.fixture
def source(tmp_path: Path) -> Path:
    grow(tmp_path / "source")
    return tmp_path / "source"


def differences(one: dict[bytes, tuple[object, ...]], other: dict[bytes, tuple[object, ...]]) -> dict[bytes, object]:
    return {key: (one.get(key), other.get(key)) for key in {*one, *other} if one.get(key) != other.get(key)}


def test_stock_restic_gives_back_what_was_taken(tmp_path: Path, source: Path) -> None:
    repo, notes = tmp_path / "repo", list[Note]()
    made = take(repo, source, notes=notes)
    assert notes == []
    assert "no errors were found" in restic(repo, "check", "--read-data")
    restic(repo, "restore", made.id, "--target", str(tmp_path / "out"))
    (source / "socket").unlink()  # stock restic does not make sockets
    back = seen(tmp_path / "out" / source.relative_to("/"))
    # Stock restic knows the targets of links that are not UTF-8 only since version 0.16.
    assert set(differences(seen(source), back)) <= {b"/\xff\xfe-link"}


def test_what_is_the_same_is_not_read_again(tmp_path: Path, source: Path) -> None:
    repo = tmp_path / "repo"
    first = take(repo, source)
    second = take(repo, source, parent=first)
    assert first.summary and second.summary
    assert (tree_of(repo, second, source), second.parent) == (tree_of(repo, first, source), first.id)
    assert second.summary.bytes_read == second.summary.data_blobs == second.summary.files_new == 0
    assert second.summary.files_unmodified == first.summary.files_new == second.summary.total_files_processed
    (source / "wide" / "00007").write_bytes(b"changed")
    with (source / "big").open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"changed")
    third = take(repo, source, parent=second)
    assert third.summary
    assert (third.summary.files_changed, third.summary.files_new) == (3, 0), "the big one has two names"
    assert third.summary.data_added < 6 << 20
    forced = take(repo, source, parent=third, force=True)
    assert forced.summary
    assert tree_of(repo, forced, source) == tree_of(repo, third, source)
    assert forced.summary.bytes_read == forced.summary.total_bytes_processed
    assert forced.summary.files_unmodified == forced.summary.total_files_processed
    assert "no errors were found" in restic(repo, "check", "--read-data")


def test_a_snapshot_of_stock_restic_is_a_parent(tmp_path: Path, source: Path) -> None:
    repo = tmp_path / "repo"
    repository(repo)
    restic(repo, "backup", str(source))
    (theirs,) = repository(repo).snapshots()
    (source / "wide" / "00007").write_bytes(b"changed")
    made = take(repo, source, parent=theirs)
    assert made.summary
    assert made.summary.bytes_read < 3 * len(b"changed")
    restic(repo, "backup", str(source))
    assert "no errors were found" in restic(repo, "check", "--read-data")


@pytest.mark.parametrize("is_theirs", [False, True])
def test_what_comes_into_a_folder_that_was_empty_is_taken(tmp_path: Path, is_theirs: bool) -> None:
    repo, empty = tmp_path / "repo", tmp_path / "source" / "empty"
    empty.mkdir(parents=True)
    parent = take(repo, tmp_path / "source")
    if is_theirs:
        restic(repo, "backup", "--force", "--tag", "theirs", str(tmp_path / "source"))
        (parent,) = [each for each in repository(repo).snapshots() if "theirs" in each.tags]
    for name in ("a", "folder/b"):
        (empty / name).parent.mkdir(exist_ok=True)
        (empty / name).write_text(name)
    made = take(repo, tmp_path / "source", parent=parent)
    assert made.summary
    assert (made.summary.files_new, made.summary.total_files_processed) == (2, 2)
    assert "no errors were found" in restic(repo, "check", "--read-data")


def test_a_byte_put_into_a_big_file_moves_one_cut(tmp_path: Path) -> None:
    big, repo = tmp_path / "big", tmp_path / "repo"
    content = os.urandom(40 << 20)
    big.write_bytes(content)
    first = take(repo, big)
    big.write_bytes(b"x" + content)
    second = take(repo, big, parent=first)
    assert second.summary
    assert 0 < second.summary.data_added < 9 << 20


def test_a_hole_costs_neither_time_nor_room(tmp_path: Path) -> None:
    hole, repo = tmp_path / "hole", tmp_path / "repo"
    with hole.open("wb") as file:
        file.write(b"x")
        file.truncate(40 << 30)
    made = take(repo, hole)
    assert made.summary
    assert made.summary.total_bytes_processed == 40 << 30
    assert made.summary.data_blobs <= 4


def test_what_a_command_prints_is_a_file(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    command = ["sh", "-c", "head -c 20000000 /dev/zero; echo $WORD"]
    made = take(repo, virtual=[Virtual(b"/db/dump.sql", command, {"WORD": "end"})])
    assert made.paths == ("/db/dump.sql",)
    assert restic(repo, "dump", made.id, "/db/dump.sql") == "\0" * 20000000 + "end\n"
    with pytest.raises(EngineError, match="ended with code 3: it was bad"):
        take(repo, virtual=[Virtual(b"/db/dump.sql", ["sh", "-c", "echo x; echo it was bad >&2; exit 3"])])
    with pytest.raises(EngineError, match="cannot run /none"):
        take(repo, virtual=[Virtual(b"/db/dump.sql", ["/none"])])
    assert len(list(repository(repo).snapshots())) == 1


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    busy, notes, ended = tmp_path / "source" / "busy", list[Note](), threading.Event()
    busy.write_bytes(b"x" * 20_000_000)

    def write() -> None:
        while not ended.is_set():
            with busy.open("r+b") as file:
                file.write(b"y")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        take(tmp_path / "repo", tmp_path / "source", notes=notes)
    finally:
        ended.set()
        writer.join()
    assert [(note.path, note.is_left_out) for note in notes] == [(str(busy), False)]
    assert "changed while it was read" in notes[0].problem
    assert "no errors were found" in restic(tmp_path / "repo", "check", "--read-data")


def test_what_is_left_out(tmp_path: Path, source: Path) -> None:
    made = take(tmp_path / "repo", source, excludes=["wide", f"{source}/big", "*-link", "!plain-link", "deep/**/file"])
    listed = restic(tmp_path / "repo", "ls", made.id)
    assert f"{source}/plain-link\n" in listed
    assert not any(word in listed for word in ("/wide", "/big", "-rf-link", "/file\n"))
    assert "/deep/000" in listed


@pytest.mark.parametrize(
    ("pattern", "path", "is_out"),
    [
        ("foo", b"/a/foo", True), ("foo", b"/a/foobar", False), ("*.log", b"/a/b/x.log", True),
        ("b/*.log", b"/a/b/x.log", True), ("/b/*.log", b"/a/b/x.log", False), ("/a/**/x", b"/a/b/c/x", True),
        ("/a/**/x", b"/a/x", True), ("a?c", b"/abc", True), ("a?c", b"/a/c", False), ("[a-c]x", b"/bx", True),
        ("[^a-c]x", b"/bx", False), ("\\*", b"/*", True), ("\\*", b"/a", False), ("ä", "/ä".encode(), True),
        ("/", b"/a", None), ("[a", b"/a", None), ("foo/", b"/x/foo", True), ("/a", b"/b/a", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, path: bytes, is_out: bool | None) -> None:
    if is_out is None:
        with pytest.raises(UsageError, match="cannot leave out"):
            compiled([pattern])
    else:
        judge = compiled([pattern])
        assert judge and judge(path) is is_out


@pytest.mark.parametrize(
    ("path", "code"), [("relative", "refused"), ("/tmp/../etc", "refused"), ("/there/is/none", "vanished")]
)
def test_bad_paths_are_refused_before_anything_is_stored(tmp_path: Path, path: str, code: str) -> None:
    with pytest.raises(EngineError) as error:
        take(tmp_path / "repo", Path(path))
    assert error.value.code == code
    assert list((tmp_path / "repo" / "index").iterdir()) == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Others may go through it; pytest shuts its own folders to them whenever one begins."""
    with tempfile.TemporaryDirectory(prefix="bh-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_what_cannot_be_read_is_told_and_the_rest_taken(open_folder: Path) -> None:
    """Run as somebody who may not read everything."""
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    repo, source = open_folder / "repo", open_folder / "source"
    grow(source)
    repository(repo)
    (source / "secret").write_text("x")
    (source / "secret").chmod(0o600)
    (source / "hidden").mkdir(mode=0o700)
    for path in (repo, *repo.rglob("*")):
        os.chown(path, 12345, 12345)
    source.chmod(0o755)
    notes: list[Note] = []
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setresgid(12345, 12345, 12345)
            os.setresuid(12345, 12345, 12345)
            take(repo, source, notes=notes)
            left_out = {Path(note.path).name for note in notes if note.is_left_out}
            code = 0 if left_out == {"secret", "hidden", "empty", "hollow"} else 2
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert "no errors were found" in restic(repo, "check", "--read-data")


def test_cancelled_and_gone_on_with(tmp_path: Path) -> None:
    source, repo = tmp_path / "source", tmp_path / "repo"
    source.mkdir()
    for each in range(60):
        (source / str(each)).write_bytes(os.urandom(1 << 20))
    flag = threading.Event()
    opened = repository(repo)

    def watch() -> None:
        until(lambda: any((repo / "data").glob("*/*")), 30, "a pack arrives")
        flag.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(EngineError) as error:
        backup(
            opened, [os.fsencode(source)], parent=None, force=False, excludes=[], hostname="here", tags=[], time_ns=1,
            virtual=[], progress=lambda _: None, note=lambda _: None, cancelled=flag,
        )  # fmt: skip
    watcher.join()
    assert error.value.code == "cancelled"
    made = take(repo, source)
    assert made.summary
    assert made.summary.data_added < 60 << 20
    assert "no errors were found" in restic(repo, "check", "--read-data")


def test_progress_ends_with_the_totals(tmp_path: Path, source: Path) -> None:
    said: list[Progress] = []
    made = take(tmp_path / "repo", source, progress=said.append)
    assert made.summary
    assert (said[-1].bytes, said[-1].files) == (said[-1].bytes_total, said[-1].files_total)
    assert said[-1].bytes == made.summary.total_bytes_processed


@given(
    st.binary(min_size=1, max_size=30).filter(lambda name: b"/" not in name and b"\0" not in name),
    st.sampled_from([0o100644, 0o104755, 0o40755, 0o41777, 0o120777, 0o10600, 0o140755, 0o20600, 0o60600]),
    st.lists(st.integers(0, 2**40), min_size=8, max_size=8),
)
def test_text_is_what_a_node_is(name: bytes, mode: int, drawn: list[int]) -> None:
    inode, device, links, uid, gid, size, mtime, ctime = drawn
    links, is_file = links % 4 + 1, mode >> 12 == 0o10
    plain = (mode, inode + 1, device + 1, links, uid % 2**31, gid % 2**31, size, 0, 0, 0)
    said = os.stat_result(plain, {"st_mtime_ns": mtime * 1000, "st_ctime_ns": ctime * 1000, "st_rdev": device})
    kind, bits = node.kind(mode)
    is_dir, has_links = kind == "dir", kind in ("file", "symlink", "dev", "chardev")
    (back,) = node.parse_tree(
        b"", node.tree([
            entries.beginning(name, said, size) + (
                entries.file_end("") if is_file else entries.folder_end(bytes(32)) if is_dir else '"content":null}'
            )
        ]),
    )  # fmt: skip
    made = node.Node(
        name, kind, bits, mtime * 1000, mtime * 1000, ctime * 1000, uid % 2**31, gid % 2**31, back.user, back.group,
        inode + 1, device + 1 if links > 1 and not is_dir else 0, size if is_file else 0, links if has_links else 0,
        content=[] if is_file else None, subtree=bytes(32) if is_dir else None,
    )  # fmt: skip
    assert back == made
