"""The cable between an agent and what it sends to is pulled in the middle: nobody is told, and no line is lost."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

import pytest

from tests.agent.rooms.logs.outputs.receivers import ElasticReceiver, LokiReceiver
from tests.live import numbered
from tests.live.consumers import Rsyslog
from tests.live.home import home
from tests.live.hosts import TestHosts
from tests.waiting import until


def texts_to_numbers(texts: list[str]) -> set[int]:
    return {int(text.split()[1]) for text in list(texts) if text.startswith("n ")}


def test_every_line_arrives_after_the_cable_was_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestHosts() as hosts, home() as here, ExitStack() as stack:
        monkeypatch.setenv("XDG_CACHE_HOME", str(hosts.root / "cache"))
        far = hosts.namespaced("far")
        elastic, loki = ElasticReceiver(host=hosts.here), LokiReceiver(host=hosts.here)
        rsyslog = Rsyslog(hosts.here)
        stack.callback(elastic.stop)
        stack.callback(loki.stop)
        stack.callback(rsyslog.remove)
        stack.callback(here.cli, "--host", "far", "agent", "stop", code=None)
        for receiver in (elastic, loki, rsyslog):
            receiver.start()
        far.home.mkdir(exist_ok=True)
        (far.home / "blackhole.yaml").write_text(f"""
services:
  num: {{command: [{sys.executable}, {numbered.PROGRAM}, "300"]}}
logging:
  outputs:
  - {{type: elasticsearch, addresses: ["{elastic.address}"], index: num}}
  - {{type: loki, address: "{loki.address}"}}
  - {{type: syslog, name: tcp, address: "{hosts.here}:{rsyslog.ports["tcp"]}", protocol: tcp}}
""")
        (here.path / "hosts.yaml").write_text(f"hosts:\n{far.yaml()}")
        here.cli("--host", "far", "start")
        consumers = {
            "elasticsearch": lambda: texts_to_numbers(elastic.texts),
            "loki": lambda: texts_to_numbers(loki.texts),
            "tcp": lambda: set(rsyslog.numbers("tcp")),
        }

        def written() -> set[int]:
            return set(numbered.numbers(far.home / "logs/num", "num-1"))

        for name, numbers in consumers.items():
            until(lambda numbers=numbers: len(numbers()) > 100, 30, f"lines by {name}")
        far.cut()
        count, arrived = len(written()), len(elastic.texts)
        until(lambda: len(written()) > count + 1500, 60, "lines are written meanwhile")
        assert len(elastic.texts) < arrived + 1000, "the cable is out"
        far.heal()
        wanted = written()
        for name, numbers in consumers.items():
            until(lambda numbers=numbers: wanted <= numbers(), 90, f"all of {len(wanted)} lines by {name}")
        said = until(lambda: here.cli("--host", "far", "logs", "outputs", "-o", "json", code=None).stdout, 60)
        assert all(each["dropped"] == 0 for each in json.loads(said))
