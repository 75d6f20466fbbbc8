"""The fleet as one source for Prometheus, over real OpenSSH: found, scraped, and a lost host told as down."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.live.home import Home
from tests.live.hosts import TestHosts, known
from tests.live.require import program
from tests.ports import free_port
from tests.waiting import until


def get(url: str) -> str:
    """The body, or the status of an error."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError:
        return ""


def test_discovery_names_the_chosen_hosts(hosts: TestHosts, here: Home) -> None:
    known(here, hosts.loopback("web"), hosts.loopback("db"))
    found = json.loads(here.cli("fleet", "prometheus-sd", "--listen", "127.0.0.1:9999").stdout)
    assert [each["labels"]["host"] for each in found] == ["web", "db"]
    assert {tuple(each["targets"]) for each in found} == {("127.0.0.1:9999",)}
    here.cli("--host", "db", "fleet", "prometheus-sd", "--file", str(here.path / "sd.json"))
    assert [each["labels"]["host"] for each in json.loads((here.path / "sd.json").read_text())] == ["db"]
    assert "choose another" in here.cli("fleet", "prometheus-sd", "--serve", "--listen", "192.0.2.1:1", code=2).stderr
    for wrong in ("x", "127.0.0.1:99999", ":9464", "127.0.0.1:0"):
        assert "for example" in here.cli("fleet", "prometheus-sd", "--listen", wrong, code=2).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = here.cli("fleet", "prometheus-sd", "--serve", "--listen", listen, code=2).stderr
    assert refused == f"cannot listen at {listen}: address already in use; choose another with --listen\n"
    assert "cannot write" in here.cli("fleet", "prometheus-sd", "--file", "/proc/none/x", code=2).stderr


def test_a_real_prometheus_scrapes_a_fleet_without_a_port_on_any_host(
    hosts: TestHosts, here: Home, tmp_path: Path
) -> None:
    prometheus = program("prometheus")
    web, db = hosts.loopback("web"), hosts.loopback("db")
    known(here, web, db)
    here.cli("--host", "web", "--host", "db", "start", timeout=180)
    listen, ours = f"127.0.0.1:{free_port()}", free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs: [{job_name: fleet, honor_labels: true, "
        f"http_sd_configs: [{{url: 'http://{listen}/sd', refresh_interval: 1s}}]}}]\n"
    )
    argv = [sys.executable, "-m", "bhtui.cli.main", "fleet", "prometheus-sd", "--serve", "--listen", listen]
    flags = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("w") as log:
        gateway = subprocess.Popen(argv, env=here.environ, stdout=log, stderr=log)
        server = subprocess.Popen(
            [prometheus, *flags, f"--web.listen-address=127.0.0.1:{ours}"], stdout=log, stderr=log
        )
    try:

        def query(text: str) -> list[dict[str, Any]]:
            said = get(f"http://127.0.0.1:{ours}/api/v1/query?{urllib.parse.urlencode({'query': text})}")
            return list(json.loads(said)["data"]["result"]) if said.startswith("{") else []

        found = until(
            lambda: len(query('up{instance="job-1"} == 1')) == 2 and query('up{instance="job-1"}'), 90, "both"
        )
        assert {each["metric"]["host"] for each in found} == {"web", "db"}
        assert get(f"http://{listen}/hosts/none/metrics").startswith("404 ")
        here.cli("--host", "db", "agent", "stop")
        until(lambda: get(f"http://{listen}/hosts/db/metrics").startswith("503 "), 60, "db is told as unreachable")
        until(lambda: query('up{job="fleet", host="db", instance!="job-1"} == 0'), 60, "db is down")
        assert query('up{instance="job-1", host="web"} == 1')
    finally:
        for each in (gateway, server):
            each.terminate()
            each.wait(60)
