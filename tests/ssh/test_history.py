"""Where samples come from when an agent does not have them all, and what is asked of a Prometheus."""

from __future__ import annotations

import json

import httpx
import pytest

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.rpc.blackhole.v1 import metrics_pb2
from bhtui.ssh.history import REST, History, before, reaches_back
from bhtui.ssh.inventory import PrometheusAt
from bhtui.ssh.prometheus import Prometheus, questions, step_for

NOW = 1_000_000.0
SECOND = 10**9


def series(first: float, last: float, step: float = 60.0, value: float = 1.0, **more: float) -> metrics_pb2.Series:
    times = [int((first + n * step) * SECOND) for n in range(int((last - first) / step) + 1)]
    return metrics_pb2.Series(
        service="api", instance="api-1", metric="cpu_percent", times_ns=times, values=[value] * len(times), **more
    )


def request(seconds: float, **more: object) -> metrics_pb2.SeriesRequest:
    return metrics_pb2.SeriesRequest(names=["api-1"], since_ns=int((NOW - seconds) * SECOND), **more)  # type: ignore[arg-type]


class Kept:
    """A Prometheus that has what it is told; counts how often it is asked."""

    name = "prometheus p:9090"

    def __init__(self, answer: metrics_pb2.SeriesResponse | BlackholeError) -> None:
        self.answer, self.asked = answer, []

    async def series(self, request: metrics_pb2.SeriesRequest, now: float) -> metrics_pb2.SeriesResponse:
        self.asked.append(request)
        if isinstance(self.answer, BlackholeError):
            raise self.answer
        return self.answer


def made(agent, prometheus, live=True, monotonic=lambda: 0.0):
    async def ask(_):
        if isinstance(agent, BlackholeError):
            raise agent
        return agent

    return History(ask, lambda: live, prometheus, lambda: NOW, monotonic)


OLD = metrics_pb2.SeriesResponse(series=[series(NOW - 7200, NOW - 600, value=7)], source="prometheus p:9090")
RECENT = metrics_pb2.SeriesResponse(series=[series(NOW - 600, NOW, limit=9.0)])


async def test_what_the_agent_has_whole_is_not_asked_for_elsewhere():
    kept = Kept(OLD)
    assert await made(RECENT, kept).series(request(600)) == RECENT
    assert kept.asked == []


async def test_what_is_older_comes_before_and_is_said_to():
    kept = Kept(OLD)
    answer = await made(RECENT, kept).series(request(7200))
    (one,) = answer.series
    assert list(one.times_ns) == [*OLD.series[0].times_ns, *RECENT.series[0].times_ns]
    assert (one.values[0], one.values[-1], one.limit) == (7, 1, 9)
    assert answer.source.startswith("prometheus p:9090, before ")
    assert kept.asked[0].until_ns == RECENT.series[0].times_ns[0] - 1


@pytest.mark.parametrize("live", [True, False])
async def test_when_the_agent_is_away_all_comes_from_there(live):
    answer = await made(NoConnection("gone"), Kept(OLD), live).series(request(7200))
    assert answer == OLD


async def test_a_prometheus_that_fails_costs_nothing_and_is_left_alone_for_a_while():
    at = [0.0]
    kept = Kept(NoConnection("cannot ask prometheus p:9090: refused"))
    history = made(RECENT, kept, monotonic=lambda: at[0])
    for _ in range(3):
        answer = await history.series(request(7200))
        assert list(answer.series) == list(RECENT.series)
        assert answer.source == "the agent alone: cannot ask prometheus p:9090: refused"
    assert len(kept.asked) == 1
    at[0] += REST
    kept.answer = OLD
    assert (await history.series(request(7200))).source.startswith("prometheus")


async def test_neither_of_both_says_why_of_both():
    history = made(NoConnection("the agent is gone"), Kept(NoConnection("no prometheus")))
    with pytest.raises(BlackholeError, match="the agent is gone; and no prometheus"):
        await history.series(request(60))


def test_what_reaches_back():
    asked = request(3600, step=10.0)
    assert reaches_back(asked, asked.since_ns + 30 * SECOND, NOW)
    assert not reaches_back(asked, asked.since_ns + 600 * SECOND, NOW)


def test_what_only_prometheus_knows_stays():
    other = metrics_pb2.Series(service="old", instance="old-1", metric="fds", times_ns=[1], values=[2.0])
    joined = before(metrics_pb2.SeriesResponse(series=[*OLD.series, other], source="p"), RECENT)
    assert {one.instance for one in joined.series} == {"api-1", "old-1"}


def test_questions_name_the_host_and_only_what_is_wanted():
    asked = metrics_pb2.SeriesRequest(names=["host", 'a"b'], metrics=["cpu_percent", "load1"])
    texts = [each.promql for each in questions(asked, {"host": "web-1"}, 15.0)]
    assert texts == [
        'blackhole_host_usage{host="web-1", resource=~"cpu_percent|load1"}',
        '{__name__=~"process_resource_usage|blackhole_service_traffic", host="web-1", resource=~"cpu_percent|load1", '
        'instance=~"a\\"b"}',
    ]


def test_a_long_step_is_a_mean_with_the_greatest_beside_it_and_services_are_folded():
    asked = metrics_pb2.SeriesRequest(names=["api"], by_service=True)
    found = list(questions(asked, {"host": "w"}, 600.0))
    assert [(each.promql.split("(")[0], "_over_time" in each.promql, each.is_highs) for each in found] == [
        ("sum by ", True, False), ("sum by ", True, True), ("max by ", True, False), ("max by ", True, True),
    ]  # fmt: skip
    assert all('service=~"api"' in each.promql and "[600s]" in each.promql for each in found)


def test_points_are_bounded():
    week = metrics_pb2.SeriesRequest(since_ns=int((NOW - 700_000) * SECOND))
    assert 700_000 / step_for(week, NOW) <= 2000
    assert step_for(metrics_pb2.SeriesRequest(since_ns=int((NOW - 60) * SECOND)), NOW) == 15.0


async def nowhere(address: str, port: int) -> str:
    raise AssertionError("not on the host")


async def test_refusals_are_told_in_words(monkeypatch, tmp_path):
    answers = iter([httpx.Response(401), httpx.Response(422, text=json.dumps({"error": "bad\nquery"})),
                    httpx.Response(200, text="<html>")])  # fmt: skip
    monkeypatch.setattr(httpx.AsyncClient, "post", lambda *_, **__: _async(next(answers)))
    (tmp_path / "token").write_text("secret\n")
    prometheus = Prometheus("w", PrometheusAt("http://p:9090", bearer_token_file=str(tmp_path / "token")), nowhere)
    for text in ("it says 401 .*bearer_token_file", "it says 422 bad query", "is it a Prometheus"):
        with pytest.raises(BlackholeError, match=text) as caught:
            await prometheus.series(request(600), NOW)
        assert "secret" not in str(caught.value)
    missing = Prometheus("w", PrometheusAt("http://p:9090", bearer_token_file=str(tmp_path / "none")), nowhere)
    with pytest.raises(BlackholeError, match="none: No such file"):
        await missing.series(request(600), NOW)


async def _async(value):
    return value
