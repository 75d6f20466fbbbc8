"""The logs of many hosts: one order, each line once, one host never in the way of another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from bhtui.cli import loglines, logmerge
from bhtui.cli.loglines import LogReader
from bhtui.core.errors import NoConnection, NotFound
from bhtui.core.logcolumns import Lines
from bhtui.rpc.blackhole.v1.logs_pb2 import LogBatch, LogLine, LogPlace, LogsRequest

HOUR = 3600 * 10**9


def line(time_ns: int, text: str) -> LogLine:
    return LogLine(time_ns=time_ns, instance="api-1", message=text)


class Host:
    """A target that gives prepared batches; an error among them breaks the connection."""

    production = read_only = False

    def __init__(self, name: str, *script: LogBatch | Exception) -> None:
        self.name, self.script = name, list(script)
        self.requests: list[LogsRequest] = []
        self.given = 0
        self.is_away = False

    async def client(self) -> Any:
        if self.is_away:
            raise NoConnection("cannot reach it")
        return SimpleNamespace(logs=self.logs)

    again = client

    async def logs(self, request: LogsRequest) -> AsyncIterator[LogBatch]:
        self.requests.append(request)
        while self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            self.given += 1
            yield step
        if request.follow:
            await asyncio.Event().wait()


def reader(host: Host, follow: bool = True, several: bool = True) -> LogReader:
    return LogReader(host, LogsRequest(follow=follow), several=several)  # type: ignore[arg-type]


async def take(readers: list[LogReader], count: int) -> list[tuple[str, bool]]:
    """What comes, with whether it is late, until there are so many lines; `--` is where a host was away."""
    got: list[tuple[str, bool]] = []
    source = logmerge.new(readers)
    async with asyncio.timeout(60):
        async for lines, late in source:
            for place, (of, text) in enumerate(zip(lines.origins, lines.messages, strict=True)):
                got.append(("--" if of.remark else text, place < late))
            if sum(text != "--" for text, _ in got) >= count:
                break
    await source.aclose()  # type: ignore[attr-defined]
    return got


async def test_the_past_of_many_is_in_order() -> None:
    one = Host("web1", LogBatch(lines=[line(1, "a"), line(4, "d")]), LogBatch(lines=[line(5, "e")], caught_up=True))
    other = Host("web2", LogBatch(lines=[line(2, "b"), line(3, "c"), line(9, "f")], caught_up=True))
    got = Lines()
    async for lines in logmerge.past([reader(one), reader(other)]):
        got.extend(lines)
    assert got.messages == list("abcdef")
    assert [of.host for of in got.origins] == ["web1", "web2", "web2", "web1", "web1", "web2"]


async def test_the_newest_of_the_past() -> None:
    host = Host("web", *(LogBatch(lines=[line(n * 10 + m, str(n * 10 + m)) for m in range(10)]) for n in range(500)))
    newest = await logmerge.newest(logmerge.past([reader(host, follow=False)]), 3)
    assert newest.messages == ["4997", "4998", "4999"]


async def test_of_the_past_only_the_host_that_is_behind_is_read_on() -> None:
    behind = Host("old", *(LogBatch(lines=[line(n, "x")]) for n in range(50)))
    ahead = Host("new", *(LogBatch(lines=[line(1000 + n, "y")]) for n in range(50)))
    source = logmerge.past([reader(behind, follow=False), reader(ahead, follow=False)])
    await anext(source)
    assert ahead.given <= 2
    await source.aclose()  # type: ignore[attr-defined]
    assert len(asyncio.all_tasks()) == 1


async def test_one_host_that_fails_does_not_end_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    broken, well = Host("web1", NotFound("cannot read")), Host("web2", LogBatch(lines=[line(2, "b")], caught_up=True))
    readers = [reader(broken, follow=False), reader(well, follow=False)]
    got = [each async for lines in logmerge.past(readers) for each in lines.messages]
    assert len(got) == 1
    assert isinstance(readers[0].error, NotFound)
    with pytest.raises(NotFound):
        _ = [each async for each in logmerge.past([reader(Host("web", NotFound("no")), several=False)])]


async def test_lines_that_come_are_in_order_and_late_ones_are_marked() -> None:
    now = time.time_ns()
    one = Host("web1", LogBatch(lines=[line(now - 2000, "a"), line(now - 1000, "c")]))
    other = Host("web2", LogBatch(lines=[line(now - 1500, "b")]), LogBatch(lines=[line(now - 10**9, "late")]))
    got = await take([reader(one), reader(other)], 4)
    assert [text for text, _ in got if text != "late"] == ["a", "b", "c"]
    assert ("late", got[0][0] != "late") in got


async def test_a_host_with_a_wrong_clock_is_put_where_its_lines_came(capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time_ns()
    wrong = Host("web1", LogBatch(lines=[line(now - HOUR, "wrong")], clock_ns=now - HOUR))
    right = Host("web2", LogBatch(lines=[line(now - 10**9, "right")], clock_ns=now))
    assert await take([reader(wrong), reader(right)], 2) == [("right", False), ("wrong", False)]
    assert "web1: its clock is 1 h behind ours" in capsys.readouterr().err


async def test_a_lost_connection_is_marked_and_goes_on_at_the_last_place(capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time_ns()
    place = LogPlace(service="api", instance="api-1", file=1, head_ns=2, offset=300)
    host = Host(
        "web",
        LogBatch(lines=[line(now, "a")], places=[place]),
        NoConnection("gone"),
        LogBatch(lines=[line(now + 1, "b")]),
    )
    got = await take([reader(host)], 2)
    assert [text for text, _ in got] == ["a", "--", "b"]
    assert list(host.requests[1].after) == [place]
    assert "web: the connection was lost" in capsys.readouterr().err


async def test_what_nobody_reads_stays_at_the_host() -> None:
    now = time.time_ns()
    host = Host("web", *(LogBatch(lines=[line(now - 10**9 + n, "x")]) for n in range(1000)))
    source = logmerge.new([reader(host)])
    await anext(source)
    await asyncio.sleep(0.05)
    assert host.given <= 4 * logmerge.AHEAD
    await source.aclose()  # type: ignore[attr-defined]
    assert len(asyncio.all_tasks()) == 1


async def test_the_only_host_that_stays_away_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loglines, "RECONNECT_TIMEOUT", 0.1)
    host = Host("web", NoConnection("gone"))
    host.is_away = False
    lone = reader(host, several=False)
    source = logmerge.new([lone])

    async def away() -> Any:
        raise NoConnection("cannot reach it")

    host.again = away  # type: ignore[method-assign]
    with pytest.raises(NoConnection):
        await anext(source)
    assert len(asyncio.all_tasks()) == 1


async def test_a_host_that_was_away_at_first_comes_in_when_it_answers(monkeypatch, capsys) -> None:
    monkeypatch.setattr(loglines, "PAUSE", 0.01)
    now = time.time_ns()
    there, late = Host("web1", LogBatch(lines=[line(now, "a")])), Host("web2", LogBatch(lines=[line(now + 1, "b")]))
    late.is_away = True
    asked = LogReader(late, LogsRequest(follow=True, since_ns=now), several=True, away=True)  # type: ignore[arg-type]
    asyncio.get_running_loop().call_later(0.3, setattr, late, "is_away", False)
    assert [text for text, _ in await take([reader(there), asked], 2)] == ["a", "--", "b"]
    assert capsys.readouterr().err == ""
