"""HTTP over a socket, as engines speak it and as broken ones do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.foreign.containers import http

from .rig import answer, chunked, served


async def _body(data: bytes) -> bytes:
    async with served(lambda _: data) as (path, _):
        return (await http.ask(path, "GET", "/", None, 5)).body


@pytest.mark.parametrize(
    "data",
    [
        answer("200 OK", b"hello"),
        chunked(b"he", b"llo"),
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer("200 OK", b"hello"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5;name=x\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_a_body_however_its_end_is_told(data: bytes) -> None:
    assert await _body(data) == b"hello"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_that_has_no_body_by_its_nature(status: str) -> None:
    assert await _body(f"HTTP/1.1 {status}\r\n\r\n".encode()) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"x" * (2 * http.HEAD_LIMIT),
    ],
)
async def test_what_is_no_answer_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises((http.BadAnswer, ConnectionError)):
        await _body(data)


async def test_an_endless_body_is_not_taken_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_LIMIT", 1000)
    with pytest.raises(http.BadAnswer, match="over"):
        await _body(answer("200 OK", b"x" * 5000))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(0, 9999), max_size=9))
def test_chunks_do_not_depend_on_where_they_are_cut(chunks: list[bytes], places: list[int]) -> None:
    data = chunked(*chunks).partition(b"\r\n\r\n")[2]
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    body = http.Chunks()
    assert b"".join(body.feed(data[a:b]) for a, b in pairwise(edges)) == b"".join(chunks)
    assert body.ended
