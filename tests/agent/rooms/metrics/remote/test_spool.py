import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics.remote.spool import Spool


def test_what_waits_is_there_again_after_a_restart_oldest_first(tmp_path):
    first = Spool(tmp_path / "q", 1 << 20)
    first.put(1000, [(b"one", 3), (b"two", 4)])
    first.put(2000, [(b"three", 5)])
    (tmp_path / "q" / "000000000003000-0000-1.rw.new").write_bytes(b"half")
    again = Spool(tmp_path / "q", 1 << 20)
    assert again.total == (12, len("onetwothree"))
    seen = []
    while (one := again.oldest()) is not None:
        seen.append((one.time_ms, one.samples, again.read(one)))
        again.done(one)
    assert seen == [(1000, 3, b"one"), (1000, 4, b"two"), (2000, 5, b"three")]
    assert list((tmp_path / "q").iterdir()) == []


def test_what_is_no_file_of_ours_is_left_alone(tmp_path):
    (tmp_path / "a-b-c.rw").write_bytes(b"?")
    assert Spool(tmp_path, 1 << 20).oldest() is None


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=3), max_size=20))
def test_space_is_bounded_and_what_is_given_up_is_counted(tmp_path_factory, puts):
    spool = Spool(tmp_path_factory.mktemp("spool"), 100)
    lost = sum(spool.put(n, [(b"x" * size, size) for size in sizes]) for n, sizes in enumerate(puts))
    samples, size = spool.total
    assert size <= 100
    assert samples + lost == sum(map(sum, puts))


def test_a_disk_that_takes_nothing_keeps_nothing_by_halves(tmp_path):
    spool = Spool(tmp_path / "q", 1 << 20)
    (tmp_path / "q" / "000000000000001-0001-1.rw.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        spool.put(1, [(b"one", 1), (b"two", 1)])
    assert spool.total == (0, 0)
    assert not (tmp_path / "q" / "000000000000001-0000-1.rw").exists()
