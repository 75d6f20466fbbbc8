"""What backups leave out goes from the old data into the restored, and back."""

import os

import pytest

from bhtui.agent.rooms.backup import carry

from .rooms import read, write


@pytest.fixture
def apart(tmp_path):
    old, new = tmp_path / "old" / "data", tmp_path / "new" / "data"
    old.mkdir(parents=True)
    new.mkdir(parents=True)
    return tmp_path, old, new


def over(apart, *patterns):
    folder, old, new = apart
    carry.over(folder, old, new, "/srv/data", patterns)


def test_links_are_moved_and_never_followed(apart):
    folder, old, new = apart
    outside = folder / "outside"
    write(outside, {"k.tmp": "mine"})
    (old / "link").symlink_to(outside)
    (old / "link.tmp").symlink_to(outside)
    (new / "sub").symlink_to(outside)
    write(old, {"sub/k.tmp": "live", "sub/n.tmp": "live"})
    over(apart, "*.tmp")
    assert read(outside) == {"k.tmp": "mine"}
    assert os.readlink(new / "link.tmp") == str(outside)
    assert not os.path.lexists(new / "link")
    assert carry.left(folder) == ["sub/k.tmp", "sub/n.tmp"], "a restored link is in the way: the old must be kept"
    carry.back(*apart)
    assert os.readlink(old / "link.tmp") == str(outside)
    assert carry.left(folder) == []


def test_what_was_restored_stays_and_a_folder_is_completed(apart):
    _, old, new = apart
    write(old, {"cache/a": "live", "cache/b": "live", "cache/sub/c": "live"})
    write(new, {"cache/a": "restored", "cache/sub/d": "restored"})
    over(apart, "cache")
    assert read(new) == {"cache/a": "restored", "cache/b": "live", "cache/sub/c": "live", "cache/sub/d": "restored"}
    carry.back(*apart)
    assert read(old) == {"cache/a": "live", "cache/b": "live", "cache/sub/c": "live"}
    assert read(new) == {"cache/a": "restored", "cache/sub/d": "restored"}


def test_the_journal_of_a_database_is_not_put_beside_another(apart):
    _, old, new = apart
    write(old, {"a.db": "1", "a.db-wal": "1", "b.db-wal": "1"})
    write(new, {"a.db": "2"})
    over(apart, "*-wal")
    assert read(new) == {"a.db": "2", "b.db-wal": "1"}


def test_patterns_go_by_the_live_path_and_odd_names_are_names(apart):
    _, old, new = apart
    odd = os.fsdecode(b"\xff\n.tmp")
    write(old, {odd: "live", "keep.tmp": "old", "sub/tmp/x": "live", "tmp/x": "old"})
    over(apart, "*.tmp", "!keep.tmp", "/srv/data/sub/tmp")
    assert read(new) == {odd: "live", "sub/tmp/x": "live"}


def test_folders_keep_their_rights_and_times(apart):
    _, old, new = apart
    write(old, {"sub/only/k.tmp": "live"})
    (new / "sub").mkdir()
    os.chmod(old / "sub" / "only", 0o750)
    for each in (new, new / "sub", old / "sub"):
        os.utime(each, ns=(1, 10**18))
    over(apart, "*.tmp")
    assert (new / "sub" / "only").stat().st_mode & 0o777 == 0o750
    assert (new / "sub").stat().st_mtime_ns == 10**18
    assert new.stat().st_mtime_ns == 10**18
    carry.back(*apart)
    assert (old / "sub").stat().st_mtime_ns == 10**18
