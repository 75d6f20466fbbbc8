import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bhtui.agent.rooms.metrics.exposition import Traffic, is_of_interest, quantile, totals, traffic

BOUNDS = (0.01, 0.1, 0.5, 1.0)


class Page:
    """A service's own metrics, as the common libraries name them."""

    def __init__(self, name="http_request_duration_seconds", label="status"):
        self.registry = CollectorRegistry()
        bounds = [bound * 1000 if name.endswith("_ms") else bound for bound in BOUNDS]
        self.durations = Histogram(name, "d", ("path", label), registry=self.registry, buckets=bounds)

    def serve(self, seconds, code="200", times=1):
        for _ in range(times):
            self.durations.labels("/", code).observe(seconds)

    def totals(self):
        return totals(generate_latest(self.registry).decode())


@pytest.mark.parametrize(
    ("name", "label", "failure", "fine"),
    [
        ("http_request_duration_seconds", "status", "503", "404"),
        ("http_server_requests_seconds", "status", "500", "200"),
        ("http_request_duration_seconds", "code", "5xx", "2xx"),
        ("grpc_server_handling_seconds", "grpc_code", "Internal", "NotFound"),
        ("grpc_request_duration_seconds", "status", "DEADLINE_EXCEEDED", "OK"),
        ("rpc_server_duration_seconds", "result", "error", "success"),
        ("http_request_duration_ms", "status_code", "502", "301"),
    ],
)
def test_requests_errors_and_latency_of_the_common_names(name, label, failure, fine):
    page, scale = Page(name, label), 1000 if name.endswith("_ms") else 1
    page.serve(0.05 * scale, fine)
    before = page.totals()
    page.serve(0.05 * scale, fine, 18)
    page.serve(0.7 * scale, failure, 2)
    found = traffic(before, page.totals(), 10)
    assert (found.requests_per_second, found.errors_per_second) == (2.0, 0.2)
    assert found.latency_p50_seconds < 0.1 < found.latency_p99_seconds < 1.0


def test_a_second_look_tells_what_went_on_in_between():
    page = Page()
    page.serve(0.05)
    before = page.totals()
    page.serve(0.05, "200", 90)
    page.serve(0.7, "500", 10)
    found = traffic(before, page.totals(), 20)
    assert (found.requests_per_second, found.errors_per_second) == (5.0, 0.5)
    assert 0.01 < found.latency_p50_seconds < 0.1
    assert 0.5 < found.latency_p95_seconds < found.latency_p99_seconds <= 1.0


def test_counters_count_where_there_is_no_histogram():
    registry = CollectorRegistry()
    served = Counter("app_requests", "r", ("code",), registry=registry)
    served.labels("200").inc(5)
    before = totals(generate_latest(registry).decode())
    served.labels("200").inc(30)
    served.labels("500").inc(10)
    found = traffic(before, totals(generate_latest(registry).decode()), 10)
    assert found == Traffic(4.0, 1.0)


def test_a_service_that_was_started_anew_tells_nothing_once():
    page, again = Page(), Page()
    page.serve(0.05, times=50)
    again.serve(0.05, times=3)
    assert traffic(page.totals(), again.totals(), 10) == Traffic()
    assert traffic(page.totals(), page.totals(), 0) == Traffic()


@pytest.mark.parametrize(
    "name",
    [
        "http_client_request_duration_seconds",
        "db_query_duration_seconds",
        "process_cpu_seconds_total",
        "go_gc_duration_seconds",
        "promhttp_metric_handler_requests_total",
        "redis_pool_wait_seconds",
        "upstream_http_request_duration_seconds",
    ],
)
def test_what_is_not_about_served_requests_is_left_out(name):
    assert not is_of_interest(name)


@pytest.mark.parametrize("text", ["<p>http_requests_total</p>", "http_requests_total{", "http_requests_total 1 2 3 x"])
def test_what_is_not_in_the_format_is_an_error_or_nothing(text):
    with suppress(ValueError):
        assert not totals(text).is_known


def test_an_empty_page_says_nothing():
    assert not totals("").is_known


@given(st.lists(st.floats(0.0001, 0.9), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(durations, part):
    buckets = {bound: float(sum(each <= bound for each in durations)) for bound in (*BOUNDS, math.inf)}
    found = quantile(part, buckets)
    true = sorted(durations)[max(0, math.ceil(part * len(durations)) - 1)]
    upper = next(bound for bound in BOUNDS if true <= bound)
    lower = max([bound for bound in BOUNDS if bound < true], default=0.0)
    assert lower <= found <= upper


def test_a_quantile_needs_requests_and_an_open_end():
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {1.0: 0.0, math.inf: 0.0}) is None
    assert quantile(0.5, {1.0: 5.0}) is None
    assert quantile(0.99, {1.0: 5.0, math.inf: 50.0}) == 1.0
