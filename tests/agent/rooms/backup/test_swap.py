"""Restored data takes the place of what is there, and back, cut off at any moment."""

import contextlib
import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.backup import swap
from bhtui.agent.rooms.backup.swap import Place
from bhtui.core.errors import BlackholeError

LEFT_OUT = {"cache/x": "live", "sub/k.tmp": "live", "gone/deep/k.tmp": "live"}
"""What no backup holds."""
OLD = {"a": "old", "sub/b": "old", "only-old": "old", "a.tmp": "old", "gone/c": "old", **LEFT_OUT}
RESTORED = {"a": "new", "sub/b": "new", "only-new": "new", "a.tmp": "new"}
NEW = {**RESTORED, **LEFT_OUT}
EXCLUDES = ("*.tmp", "/**/data/cache")


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder, besides=""):
    return {
        str(each.relative_to(folder)): each.read_text()
        for each in folder.rglob("*")
        if each.is_file() and (not besides or besides not in str(each))
    }


def made(tmp_path, within, old=OLD):
    path = tmp_path / "data"
    if old is not None:
        path.mkdir()
        write(path, old)
    one = Place(str(path), within, "0123456789abcdef", EXCLUDES)
    swap.make_room(one)
    write(one.new, RESTORED)
    return one, path


class Cut(BaseException):
    pass


def cut_after(monkeypatch, count):
    """The process is killed before its n-th rename."""
    from pathlib import Path

    rename, left = Path.rename, [count]

    def counted(self, target):
        if left[0] == 0:
            raise Cut
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", counted)


@pytest.mark.parametrize("within", [False, True])
def test_there_and_back(tmp_path, within):
    one, path = made(tmp_path, within)
    swap.swap(one)
    assert read(path, swap.MARK) == NEW
    swap.swap(one)
    assert read(path, swap.MARK) == NEW
    assert swap.swap_back(one)
    assert read(path, swap.MARK) == OLD
    assert swap.swap_back(one)
    swap.swap(one)
    swap.discard(one)
    assert read(path) == NEW
    assert sorted(os.listdir(tmp_path)) == ["data"]
    assert not swap.swap_back(one)
    assert read(path) == NEW


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("turns", range(15))
@pytest.mark.parametrize("back", [False, True])
def test_cut_off_at_any_rename_it_goes_on_or_back(tmp_path, monkeypatch, within, turns, back):
    one, path = made(tmp_path, within)
    with monkeypatch.context() as cut:
        cut_after(cut, turns)
        with pytest.raises(Cut):
            swap.swap(one)
            raise Cut
    if back:
        swap.swap_back(one)
    else:
        swap.swap(one)
    assert read(path, swap.MARK) == (OLD if back else NEW)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("turns", range(15))
def test_the_way_back_cut_off_goes_on(tmp_path, monkeypatch, within, turns):
    one, path = made(tmp_path, within)
    swap.swap(one)
    with monkeypatch.context() as cut:
        cut_after(cut, turns)
        with pytest.raises(Cut):
            swap.swap_back(one)
            raise Cut
    swap.swap_back(one)
    assert read(path, swap.MARK) == OLD


def test_where_there_was_nothing_there_is_nothing_again(tmp_path):
    one, path = made(tmp_path, False, old=None)
    swap.swap(one)
    assert read(path) == RESTORED
    swap.swap_back(one)
    assert not path.exists()


def test_a_single_file(tmp_path):
    path = tmp_path / "state.db"
    path.write_text("old")
    one = Place(str(path), False, "op" * 8)
    swap.make_room(one)
    one.new.write_text("new")
    swap.swap(one)
    assert path.read_text() == "new"
    swap.swap_back(one)
    assert path.read_text() == "old"


def test_the_old_is_kept_beside(tmp_path):
    one, path = made(tmp_path, False)
    swap.swap(one)
    kept = swap.kept_name(one, 1_772_366_400_000_000_000)
    swap.discard(one, kept)
    assert kept == f"{path}.before-restore-20260301T120000Z"
    from pathlib import Path

    assert read(Path(kept)) == {name: text for name, text in OLD.items() if name not in LEFT_OUT}
    assert read(path) == NEW


def test_folders_nobody_may_write_are_removed_too(tmp_path):
    one, _ = made(tmp_path, False)
    swap.swap(one)
    locked = one.old / "sub"
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    swap.discard(one)
    assert not one.folder.exists()


def test_what_was_made_anew_meanwhile_is_not_overwritten(tmp_path):
    one, path = made(tmp_path, False)
    path.rename(one.old)
    path.mkdir()
    (path / "stray").write_text("x")
    with pytest.raises(BlackholeError, match="something else was made there"):
        swap.swap(one)


def test_half_done_restores_are_found(tmp_path):
    one, path = made(tmp_path, False)
    assert swap.leftovers(str(path)) == [one.folder]
    assert swap.leftovers(str(tmp_path / "other")) == []


@settings(suppress_health_check=list(HealthCheck), max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["do", "undo", "cut-do", "cut-undo"]), max_size=8), st.booleans(), st.data())
def test_any_order_of_calls_ends_whole(tmp_path_factory, monkeypatch, calls, within, data):
    tmp_path = tmp_path_factory.mktemp("swap")
    one, path = made(tmp_path, within)
    for call in calls:
        with monkeypatch.context() as cut:
            if call.startswith("cut"):
                cut_after(cut, data.draw(st.integers(0, 14)))
            with contextlib.suppress(Cut):
                swap.swap(one) if call.endswith("-do") or call == "do" else swap.swap_back(one)
    swap.swap_back(one)
    assert read(path, swap.MARK) == OLD
    swap.swap(one)
    assert read(path, swap.MARK) == NEW
