import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from bhtui.agent.rooms.metrics import scrape as under_test
from bhtui.agent.rooms.metrics.room import Metrics
from bhtui.agent.rooms.metrics.scrape import Scraper
from bhtui.core.series import SeriesQuery


class Service:
    """Serves what `answer` is: bytes, a status, or a function that writes."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.durations = Histogram("http_request_duration_seconds", "d", ("status",), registry=self.registry)
        self.answer = lambda: generate_latest(self.registry)
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                found = service.answer()
                if isinstance(found, int):
                    self.send_response(found)
                    self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(found)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def service():
    made = Service()
    yield made
    made.close()


@pytest.fixture
def scraper(service):
    wanted = {"api-1": service.url}
    made = Scraper(lambda: wanted)
    made.test_wanted = wanted
    yield made
    made.close()


async def test_traffic_is_known_from_the_second_time_on(service, scraper):
    service.durations.labels("200").observe(0.1)
    await scraper.ask_all()
    assert dict(scraper.values()) == {}
    service.durations.labels("200").observe(0.1)
    await scraper.ask_all()
    found = dict(scraper.values())
    assert found["api-1", "requests_per_second"] > 0 and found["api-1", "errors_per_second"] == 0
    assert 0.05 < found["api-1", "latency_p99_seconds"] <= 0.1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: 500, "it answered 500"),
        (lambda: 302, "it answered 302"),
        (lambda: b"http_requests_total{a= 1\n# TYPE http_requests_total counter\n", "no text of Prometheus"),
        (lambda: b"x" * (9 << 20), "longer than 8 MiB"),
    ],
)
async def test_what_cannot_be_read_is_said_and_forgotten(service, scraper, answer, why, caplog):
    await scraper.ask_all()
    service.answer = answer
    await scraper.ask_all()
    await scraper.ask_all()
    assert why in scraper.targets["api-1"].problem
    assert caplog.text.count("cannot read its metrics") == 1
    assert scraper.failures == 2 and dict(scraper.values()) == {}


async def test_one_that_hangs_does_not_hold_up_the_others(service, scraper, monkeypatch):
    monkeypatch.setattr(under_test, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        scraper.test_wanted["slow-1"] = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        scraper.test_wanted["none-1"] = "http://127.0.0.1:1/metrics"
        await asyncio.wait_for(scraper.ask_all(), 60)
    assert not scraper.targets["api-1"].problem
    assert "timed out" in scraper.targets["slow-1"].problem
    assert "connection refused" in scraper.targets["none-1"].problem


async def test_who_is_gone_is_forgotten(service, scraper):
    await scraper.ask_all()
    scraper.test_wanted.clear()
    await scraper.ask_all()
    assert scraper.targets == {}


async def test_it_becomes_a_series(service, tmp_path, monkeypatch):
    from bhtui.agent.rooms.metrics import room as room_module

    monkeypatch.setattr(room_module, "PERIOD", 0.02)
    monkeypatch.setattr(under_test, "PERIOD", 0.02)
    room = Metrics(tmp_path)
    room.served = lambda: {"api-1": service.url}
    room.start()
    service.durations.labels("500").observe(0.2)

    async def errors():
        """Asks while errors go on: a rate is that of the last two answers, and none without new errors."""
        service.durations.labels("500").observe(0.2)
        try:
            found = await room.series(SeriesQuery(("api-1",), ("errors_per_second",)))
        except Exception:  # noqa: BLE001 - it is not there yet
            return []
        return found if room.scraper.targets["api-1"].traffic.errors_per_second else []

    async def wait():
        while not (found := await errors()):
            await asyncio.sleep(0.02)
        return found

    [series] = await asyncio.wait_for(wait(), 60)
    assert series.instance == "api-1"
    await room.close()
