"""Graphs out of a real Prometheus, directly and through SSH, when an agent does not have them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bhtui.core.errors import BlackholeError, NoConnection
from bhtui.rpc.blackhole.v1 import metrics_pb2
from bhtui.ssh.fleet import Fleet
from bhtui.ssh.history import History
from bhtui.ssh.inventory import LOCAL, Host, PrometheusAt
from bhtui.ssh.prometheus import Prometheus
from tests.live.home import home
from tests.live.hosts import TestHosts, have_sshd, need
from tests.live.promserver import prometheus
from tests.waiting import until

STEP = 15.0
"""Seconds between points at least; they lie at multiples of it."""


async def direct(address: str, port: int) -> str:
    return ""


async def gone(_: metrics_pb2.SeriesRequest) -> metrics_pb2.SeriesResponse:
    raise NoConnection("the agent is away")


async def test_series_are_those_that_the_agent_sent(tmp_path: Path) -> None:
    need(have_sshd(), "OpenSSH's sshd")
    with prometheus(tmp_path / "prom") as server, TestHosts() as hosts:
        text = f"""
        metrics: {{remote_write: {{url: "{server.url}/api/v1/write", interval: 1s, labels: {{host: web-1}}}}}}
        services: {{idle: {{command: [sleep, "1000"], replicas: 2}}}}
        """
        begun = time.time()
        with home(text) as here:
            here.cli("start")
            until(lambda: server.query('process_resource_usage{instance="idle-2", resource="threads"}'), 60, "samples")
            until(lambda: server.query('blackhole_host_usage{resource="cpu_percent"}'), 60, "of the host")
            there = time.time()
            until(lambda: time.time() // STEP > there // STEP, 30, "a step has ended since all of them were there")
            # The command, while the agent is away.
            here.cli("agent", "stop")
            declared = f"{{url: '{server.url}', labels: {{host: web-1}}}}"
            (here.path / "hosts.yaml").write_text(f"hosts: {{local: {{prometheus: {declared}}}}}\n")
            named = ("metrics", "idle-1", "--metric", "threads", "--output", "json")
            done = here.cli(*named)
            assert f"prometheus {server.url.removeprefix('http://')}" in done.stderr
            assert [(each["instance"], each["points"][0]["value"]) for each in json.loads(done.stdout)] == [
                ("idle-1", 1)
            ]
            said = here.cli(*named, "--prometheus", "http://127.0.0.1:9", code=None).stderr
            assert "stopped by" in said
            assert "cannot ask prometheus 127.0.0.1:9" in said
            assert "http or https" in here.cli(*named, "--prometheus", "ftp://x", code=2).stderr
        at = PrometheusAt(server.url, (("host", "web-1"),))
        asked = Prometheus("web-1", at, direct)
        since = int((begun - 300) * 1e9)

        both = metrics_pb2.SeriesRequest(names=["idle-1", "idle-2", "host"], since_ns=since, step=STEP)
        answer = await asked.series(both, time.time())
        found = {(one.instance, one.metric): one for one in answer.series}
        assert found["idle-1", "threads"].values[0] == 1
        assert found["host", "cpu_percent"].times_ns

        folded = metrics_pb2.SeriesRequest(
            names=["idle"], metrics=["threads", "fds"], since_ns=since, step=60.0, by_service=True,
            until_ns=int((time.time() + 60) * 1e9),
        )  # fmt: skip
        answer = await asked.series(folded, time.time())
        threads = next(one for one in answer.series if one.metric == "threads")
        assert (threads.instance, threads.values[-1]) == ("idle", 2)

        # The same through SSH, as from a machine that cannot reach the port.
        web = hosts.loopback("web").host()
        fleet = Fleet([web])
        try:
            through = Prometheus(web.name, at, lambda address, port: fleet.socket(web.name, address, port))
            history = History(gone, lambda: False, through, time.time)
            answer = await history.series(both)
            assert {one.instance for one in answer.series} == {"idle-1", "idle-2", "host"}
            assert answer.source.endswith(f" of {web.name}")
            server.stop()
            with pytest.raises(BlackholeError, match="cannot ask prometheus 127"):
                await History(gone, lambda: False, through, time.time).series(both)
        finally:
            await fleet.close()
        assert await Fleet([Host(LOCAL)]).socket(LOCAL, "127.0.0.1", 1) == ""
