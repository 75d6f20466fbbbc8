import math
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics.tape import FILE_NS, Tape, replay, tapes

KEYS = [("a", "x"), ("a", "y"), ("b-1", "é"), ("host", "x")]
ROWS = st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 10**6).map(float)), max_size=12)
SECOND = 1_000_000_000


def written(folder, rows, start=SECOND, step=SECOND, keep=10 * FILE_NS):
    tape = Tape(folder, keep)
    for number, row in enumerate(rows):
        tape.append(start + number * step, row)
    tape.close()
    return tape


def read(folder, since=0):
    found = {}
    for reel in replay(folder, since, 1 << 62):
        columns = reel.columns()
        for at, time_ns in enumerate(reel.times_ns):
            found[time_ns] = {key: column[at] for key, column in columns.items() if not math.isnan(column[at])}
    return found


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([SECOND, FILE_NS // 3, FILE_NS * 2]))
def test_what_was_written_is_read(tmp_path_factory, rows, step):
    folder = tmp_path_factory.mktemp("tape")
    written(folder, rows, step=step, keep=100 * FILE_NS)
    assert read(folder) == {SECOND + number * step: row for number, row in enumerate(rows)}


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 400), st.binary(max_size=30))
def test_what_was_cut_off_or_damaged_costs_only_what_comes_after_it(tmp_path_factory, rows, cut, noise):
    folder = tmp_path_factory.mktemp("tape")
    written(folder, rows)
    for path in tapes(folder):
        path.write_bytes(path.read_bytes()[:cut] + noise)
    written(folder, [{("b-1", "é"): 7.0}], start=10**15)
    found, expected = read(folder), {SECOND + number * SECOND: row for number, row in enumerate(rows)}
    assert found.pop(10**15) == {("b-1", "é"): 7.0}
    assert found == dict(list(expected.items())[: len(found)])


def test_files_that_are_too_old_go(tmp_path):
    written(tmp_path, [{("a", "x"): 1.0}] * 20, step=FILE_NS, keep=3 * FILE_NS)
    found = tapes(tmp_path)
    assert 3 <= len(found) <= 5
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in found)
    assert list(read(tmp_path))[-1] == SECOND + 19 * FILE_NS


def test_a_folder_that_cannot_be_written_is_counted_and_sampling_goes_on(tmp_path):
    folder = tmp_path / "file"
    folder.write_text("in the way")
    tape = Tape(folder / "tape", FILE_NS)
    tape.append(SECOND, {("a", "x"): 1.0})
    tape.append(2 * SECOND, {("a", "x"): 1.0})
    assert tape.lost == 2
    folder.unlink()
    tape.append(3 * SECOND, {("a", "x"): 2.0})
    tape.close()
    assert read(folder / "tape") == {3 * SECOND: {("a", "x"): 2.0}}


def test_a_clock_that_is_set_back_begins_another_file(tmp_path):
    tape = Tape(tmp_path, FILE_NS)
    for time_ns in (5 * SECOND, 3 * SECOND, 3 * SECOND, 4 * SECOND):
        tape.append(time_ns, {("a", "x"): float(time_ns)})
    tape.close()
    assert len(os.listdir(tmp_path)) == 2
    assert set(read(tmp_path)) == {3 * SECOND, 4 * SECOND, 5 * SECOND}
