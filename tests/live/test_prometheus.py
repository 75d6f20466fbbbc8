"""The endpoint before its real readers: promtool finds nothing to say against it, a Prometheus server scrapes it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live.home import Home, home
from tests.live.require import program
from tests.ports import free_port
from tests.waiting import until

SERVICE = """
    import sys, threading, time
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from prometheus_client import Histogram, generate_latest
    durations = Histogram("http_request_duration_seconds", "d", ["status"])
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(generate_latest())
        def log_message(self, *_): pass
    def serve():
        while True:
            durations.labels("200").observe(0.02)
            durations.labels("500").observe(0.2)
            time.sleep(0.05)
    threading.Thread(target=serve, daemon=True).start()
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Home, int]]:
    """A home whose agent serves its metrics at this port, and asks a service for its own."""
    (folder / "service.py").write_text(textwrap.dedent(SERVICE))
    port, own = free_port(), free_port()
    text = f"""
    metrics: {{listen: "127.0.0.1:{port}"}}
    services:
      web:
        command: [{sys.executable}, {folder}/service.py, "{own}"]
        metrics: http://127.0.0.1:{own}/metrics
        healthcheck: {{http: "http://127.0.0.1:{own}/metrics"}}
      idle: {{command: [sleep, "1000"]}}
    """
    with home(text) as here:
        here.cli("start")
        yield here, port


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def test_promtool_has_nothing_to_say_against_the_endpoint(tmp_path: Path) -> None:
    promtool = program("promtool")
    with serving(tmp_path) as (_, port):
        until(lambda: 'blackhole_scrape_up{service="web",instance="web-1"} 1.0' in page(port), 60, "web was asked")
        said = subprocess.run(
            [promtool, "check", "metrics"], input=page(port), capture_output=True, text=True, timeout=30, check=False
        )
        assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_a_real_prometheus_scrapes_it(tmp_path: Path) -> None:
    prometheus = program("prometheus")
    with serving(tmp_path) as (_, port):
        ours = free_port()
        (tmp_path / "prometheus.yml").write_text(
            f"scrape_configs: [{{job_name: blackhole, scrape_interval: 1s, honor_labels: true, "
            f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        )
        flags = [f"--web.listen-address=127.0.0.1:{ours}", f"--storage.tsdb.path={tmp_path}/data"]
        with (tmp_path / "prometheus.log").open("w") as log:
            server = subprocess.Popen(
                [prometheus, f"--config.file={tmp_path}/prometheus.yml", *flags], stdout=log, stderr=log
            )
        try:

            def query(text: str) -> list[dict[str, Any]]:
                url = f"http://127.0.0.1:{ours}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
                try:
                    with urllib.request.urlopen(url, timeout=60) as answer:
                        return list(json.loads(answer.read())["data"]["result"])
                except OSError:
                    return []

            found = until(lambda: query('up{service="web"} == 1'), 60, "up of web")
            assert found[0]["metric"]["instance"] == "web-1"
            until(lambda: query('process_resource_usage{resource="memory_bytes", instance="idle-1"} > 0'), 30, "memory")
            until(lambda: query("rate(blackhole_agent_samples_total[20s]) > 0"), 60, "a rate of samples")
            until(lambda: query("histogram_quantile(0.99, grpc_request_duration_seconds_bucket) >= 0"), 30, "calls")
        finally:
            server.terminate()
            server.wait(60)
