import os

from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs import cri, files
from tests.agent.rooms.logs.logmaker import START, Writer, line, write

gaps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9000), st.booleans()), max_size=60)


def build(path, spec):
    """Lines a few seconds apart, some long, some without a stamp; with the times a linear scan gives them."""
    now, starts, raw = START, [], b""
    for gap, length, is_stamped in spec:
        now += gap * 1_000_000_000
        starts.append((len(raw), now if is_stamped else None))
        raw += line(now, "x" * length) if is_stamped else b"no stamp here " + b"y" * length + b"\n"
    path.write_bytes(raw)
    return starts, len(raw)


def linear(starts, end, bound):
    return next((at for at, time in starts if time is not None and time >= bound), end)


@settings(max_examples=150, deadline=None)
@given(gaps, st.integers(-2, 200), st.integers(-1, 1))
def test_bisection_equals_a_linear_scan(tmp_path_factory, spec, second, nudge):
    path = tmp_path_factory.mktemp("f") / "a.log"
    starts, end = build(path, spec)
    bound = START + second * 1_000_000_000 + nudge
    fd = os.open(path, os.O_RDONLY)
    try:
        assert files.find_time(fd, end, bound) == linear(starts, end, bound)
    finally:
        os.close(fd)


def test_bisection_in_a_large_file_reads_little(tmp_path, monkeypatch):
    path = tmp_path / "a.log"
    write(path, (line(START + i * 1000, f"line {i}") for i in range(200_000)))
    reads = []
    pread = os.pread
    monkeypatch.setattr(files.os, "pread", lambda fd, size, at: reads.append(size) or pread(fd, size, at))
    fd = os.open(path, os.O_RDONLY)
    at = files.find_time(fd, path.stat().st_size, START + 123_456_000)
    monkeypatch.undo()
    assert os.pread(fd, 60, at).startswith(line(START + 123_456_000, "line 123456"))
    os.close(fd)
    assert sum(reads) < 400_000


def test_lines_end_leaves_out_an_unfinished_line(tmp_path):
    path = tmp_path / "a.log"
    for content, end in ((b"", 0), (b"abc", 0), (b"abc\nde", 4), (b"a\n" + b"x" * 600_000, 2), (b"abc\n", 4)):
        path.write_bytes(content)
        fd = os.open(path, os.O_RDONLY)
        assert files.lines_end(fd) == end
        os.close(fd)


def test_a_clean_start_is_before_the_parts_of_a_line(tmp_path):
    path = tmp_path / "a.log"
    raw = [
        line(START, "whole"),
        line(START, "part 1", "stdout", "P"),
        line(START, "between", "stderr"),
        line(START, "part 2", "stdout", "P"),
        line(START, "end", "stdout"),
        line(START, "next"),
    ]
    path.write_bytes(b"".join(raw))
    starts = [sum(map(len, raw[:i])) for i in range(len(raw))]
    fd = os.open(path, os.O_RDONLY)
    assert [files.clean_start(fd, at, 0) for at in starts] == [starts[0], *[starts[1]] * 4, starts[5]]
    os.close(fd)


def test_the_survey_tells_an_instance_from_one_with_a_similar_name(tmp_path):
    Writer(tmp_path / "api-10.log")
    writer = Writer(tmp_path / "api-1.log")
    assert cri.STAMP_LENGTH == 30
    for i in range(3):
        writer.put(line(START + i, "x"))
        writer.rotate()
    (tmp_path / "api-1.notes.log").touch()
    found = files.survey(tmp_path / "api-1.log")
    assert found.active is not None and found.active.fd is not None
    os.close(found.active.fd)
    assert len(found.rotated) == 3
    assert [file.path for file in found.rotated] == sorted(file.path for file in found.rotated)
    nothing = files.survey(tmp_path / "none/none-1.log")
    assert (nothing.active, nothing.rotated) == (None, [])
