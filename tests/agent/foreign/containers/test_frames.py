"""The output of a container, taken apart wherever it was cut on its way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign.containers.frames import RAW_LIMIT, BadFrame, Frames, Piece

STAMP = b"2026-11-24T10:01:48.423749994Z "
AT = 1795514508423749994
LINES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=30).map(lambda b: b.replace(b"\n", b""))))


def _frame(stream: int, body: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@settings(deadline=None)
@given(LINES, st.lists(st.integers(0, 10_000), max_size=8))
def test_frames_do_not_depend_on_where_they_are_cut(lines: list[tuple[int, bytes]], places: list[int]) -> None:
    data = b"".join(_frame(stream, STAMP + text + b"\n") for stream, text in lines)
    frames = Frames(tty=False)
    found = [piece for part in _cut(data, places) for piece in frames.feed(part)]
    assert found == [Piece(AT, "stdout" if stream == 1 else "stderr", text) for stream, text in lines]


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"").rstrip(b"\r"))), st.lists(st.integers(0, 9999))
)
def test_a_terminals_lines_do_not_either(lines: list[bytes], places: list[int]) -> None:
    data = b"".join(STAMP + text + b"\r\n" for text in lines)
    frames = Frames(tty=True)
    found = [piece for part in _cut(data, places) for piece in frames.feed(part)]
    assert found == [Piece(AT, "stdout", text) for text in lines]


def test_a_long_line_comes_in_parts() -> None:
    body = STAMP + b"x" * 16384
    data = _frame(1, body) + _frame(1, body) + _frame(1, STAMP + b"end\n")
    found = list(Frames(tty=False).feed(data))
    assert [(len(piece.text), piece.partial) for piece in found] == [(16384, True), (16384, True), (3, False)]


def test_a_long_line_of_a_terminal_is_not_kept_back() -> None:
    frames = Frames(tty=True)
    found = [*frames.feed(STAMP + b"x" * (2 * RAW_LIMIT)), *frames.feed(b"y\n")]
    assert b"".join(piece.text for piece in found) == b"x" * (2 * RAW_LIMIT) + b"y"
    assert [piece.partial for piece in found][-2:] == [True, False]
    assert {piece.time_ns for piece in found} == {AT}


def test_whole_seconds_and_no_time_at_all() -> None:
    data = _frame(2, b"2026-11-24T09:59:44Z err\n") + _frame(1, b"plain words\n") + _frame(1, b"\n")
    assert [(piece.time_ns, piece.text) for piece in Frames(tty=False).feed(data)] == [
        (1795514384000000000, b"err"), (0, b"plain words"), (0, b""),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"HTTP/1.1 500", b"\x09\0\0\0\0\0\0\1x", b"\1\0\0\0\xff\xff\xff\xff"])
def test_other_streams_are_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Frames(tty=False).feed(data))
