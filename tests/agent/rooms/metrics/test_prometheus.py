import asyncio
import gzip
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given, strategies
from prometheus_client.parser import text_string_to_metric_families

from bhtui.agent.rooms.metrics.durations import Durations
from bhtui.agent.rooms.metrics.exposition import Traffic
from bhtui.agent.rooms.metrics.figures import EXPORTED, Figures
from bhtui.agent.rooms.metrics.model import INSTANCE_METRICS, HostSample, Sample
from bhtui.agent.rooms.metrics.prometheus import Endpoint, parse_listen, text
from bhtui.agent.rooms.metrics.room import Metrics
from bhtui.agent.rooms.metrics.scrape import Target
from bhtui.core.errors import BlackholeError, UsageError
from bhtui.core.states import Goal, Health, State
from bhtui.core.status import InstanceStatus


def status(instance, state=State.RUNNING):
    return InstanceStatus("api", instance, state, Goal.UP, Health.HEALTHY, restarts=2)


@pytest.fixture
def metrics(tmp_path):
    room = Metrics(tmp_path)
    room._latest = {"api-1": Sample(12.5, 1000, 3, 7, 0.0, None)}
    room._host_sample = HostSample(load1=1.5)
    return room


OTHERS = ("blackhole_log_output_", "blackhole_log_dropped_", "blackhole_remote_write_")


def others():
    """Those of the log outputs, of lost lines and of remote write, which are handed in."""
    names = [name for name in EXPORTED if name.startswith(OTHERS)]
    return {name: [(("loki", "sent", "more")[: len(EXPORTED[name].labels)], 7)] for name in names}


@pytest.fixture
def endpoint(metrics):
    figures = Figures(metrics, lambda: [status("api-1"), status("api-2", State.BACKOFF)], "1.2.3", others)
    figures.durations.observe("blackhole.v1.Status", "Get", "OK", 0.02)
    made = Endpoint(figures)
    yield made
    made.close()


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return answer.read().decode()


def test_a_scrape_has_all_that_is_described(endpoint, metrics):
    asked = Target("http://127.0.0.1:1/metrics", problem="refused", traffic=Traffic(requests_per_second=3.0))
    metrics.scraper.targets["api-1"] = asked
    port = endpoint.start("127.0.0.1:0")
    families = {family.name: family for family in text_string_to_metric_families(scrape(port))}
    assert {name.removesuffix("_total") for name in EXPORTED} == set(families)
    for name, described in EXPORTED.items():
        family = families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (described.kind, described.help)
        assert all(set(sample.labels) - {"le"} == set(described.labels) for sample in family.samples)
        assert family.samples, name
    samples = {
        (one.name, *(one.labels[label] for label in described.labels)): one.value
        for name, described in EXPORTED.items()
        for one in families[name.removesuffix("_total")].samples
    }
    assert samples["up", "api", "api-1"] == 1
    assert samples["up", "api", "api-2"] == 0
    assert samples["process_resource_usage", "api", "api-1", "cpu_percent"] == 12.5
    assert ("process_resource_usage", "api", "api-1", "write_bytes_per_second") not in samples
    assert samples["grpc_request_duration_seconds_count", "blackhole.v1.Status", "Get", "OK"] == 1
    assert samples["blackhole_agent_info", "1.2.3"] == 1
    assert samples["blackhole_host_usage", "load1"] == 1.5
    assert samples["blackhole_service_traffic", "api", "api-1", "requests_per_second"] == 3
    assert samples["blackhole_agent_resident_memory_bytes",] > 1 << 20


def test_closing_frees_the_port(endpoint, metrics):
    port = endpoint.start("127.0.0.1:0")
    second = Endpoint(Figures(metrics, list, "1"))
    with pytest.raises(BlackholeError, match=rf"cannot serve metrics at 127\.0\.0\.1:{port}: Address already in use"):
        second.start(f"127.0.0.1:{port}")
    endpoint.close()
    assert second.start(f"127.0.0.1:{port}") == port
    second.close()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("listen", "parsed"),
    [
        ("127.0.0.1:9090", ("127.0.0.1", 9090)),
        ("localhost:9", ("127.0.0.1", 9)),
        ("[::1]:9090", ("::1", 9090)),
        ("127.1.2.3:80", ("127.1.2.3", 80)),
    ],
)
def test_loopback_addresses(listen, parsed):
    assert parse_listen(listen) == parsed


@pytest.mark.parametrize("listen", ["0.0.0.0:9090", "10.0.0.1:9090", "[::]:9090"])
def test_any_other_address_is_refused(listen):
    with pytest.raises(UsageError, match="only this machine may reach them"):
        parse_listen(listen)


@pytest.mark.parametrize(
    "listen", ["", "9090", "127.0.0.1", "127.0.0.1:x", "example.org:1", "127.0.0.1:70000", ":9090"]
)
def test_what_is_no_address_is_refused(listen):
    with pytest.raises(UsageError, match=r"for example 127\.0\.0\.1:9090"):
        parse_listen(listen)


def test_names_follow_the_rules_of_prometheus():
    for name, described in EXPORTED.items():
        assert re.fullmatch("[a-z][a-z_]*[a-z]", name)
        assert name.endswith("_total") == (described.kind == "counter")
        assert described.help.endswith(".")
    assert all(metric in EXPORTED["process_resource_usage"].help for metric in INSTANCE_METRICS)


def test_no_library_is_imported_for_it():
    code = "import sys, bhtui.agent.rooms.metrics.prometheus; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[4], check=False).returncode == 0


LABELS = strategies.text(strategies.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(service=LABELS, instance=LABELS, value=strategies.floats(allow_nan=False))
def test_what_is_written_is_read_again_whatever_the_labels_hold(service, instance, value):
    families = text_string_to_metric_families(text({"up": [((service, instance), value)]}))
    (sample,) = next(family for family in families if family.name == "up").samples
    assert (sample.labels, sample.value) == ({"service": service, "instance": instance}, value)


def test_a_reader_may_have_it_packed_and_finds_nothing_elsewhere(endpoint):
    port = endpoint.start("127.0.0.1:0")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.read()).decode().startswith("# HELP up ")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/else", timeout=60)


async def test_figures_are_read_in_the_loop_where_they_change(metrics):
    seen = []
    figures = Figures(metrics, lambda: seen.append(threading.get_ident()) or [], "1")
    endpoint = Endpoint(figures)
    port = endpoint.start("127.0.0.1:0")
    try:
        await asyncio.to_thread(scrape, port)
    finally:
        await asyncio.to_thread(endpoint.close)
    assert seen == [threading.get_ident()]


def test_calls_are_counted_by_how_long_they_took():
    durations = Durations("d")
    for seconds in (0.001, 0.005, 0.2, 99):
        durations.observe("s", "m", "OK", seconds)
    rows = durations.rows()
    buckets = {labels[-1]: count for labels, count in rows["d_bucket"]}
    assert (buckets["0.005"], buckets["0.25"], buckets["10.0"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert rows["d_count"] == [(("s", "m", "OK"), 4)]
    assert rows["d_sum"][0][1] == pytest.approx(99.206)
