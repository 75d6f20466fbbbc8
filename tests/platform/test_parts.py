"""The small parts of the library, alone."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2
from hypothesis import given
from hypothesis import strategies as st

from bhtui.config.load import parse
from bhtui.core.spec import Condition, ProbeKind
from bhtui.platform import demo
from bhtui.platform.contract import wire
from bhtui.platform.contract.caches import Cache
from bhtui.platform.contract.log import Log
from bhtui.platform.contract.observe import Filter
from bhtui.platform.contract.options import Tuning
from bhtui.rpc.blackhole.service.v1 import contract_pb2


@given(name=st.text(max_size=300))
def test_the_wire_is_that_of_protobuf(name: str) -> None:
    encoded = health_pb2.HealthCheckRequest(service=name).SerializeToString()
    assert wire.parse(encoded).get(1, b"") == name.encode()
    assert health_pb2.HealthCheckRequest.FromString(wire.field(1, name)).service == name


@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        wire.parse(data)


def test_a_cache_forgets_what_is_old_and_what_was_not_used() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.put("a", 1, until=10)
    cache.put("b", 2, until=20)
    assert cache.get("a", now=5) == 1
    cache.put("c", 3, until=20)
    assert cache.get("b", now=5) is None
    assert cache.get("a", now=10) is None
    assert (cache.clear(), len(cache)) == (1, 0)


def test_a_filter_of_spans() -> None:
    span = contract_pb2.Span(method="Put", status="NOT_FOUND", peer="ipv4:127.0.0.1:1")
    assert Filter("").matches(span)
    assert Filter("method=Put, status~FOUND").matches(span)
    assert not Filter("method=Pu").matches(span)
    with pytest.raises(ValueError, match="not a condition"):
        Filter("nonsense")


def test_logs_leave_out_what_is_less() -> None:
    out = io.StringIO()
    log = Log(out, "warn", service="x")
    log.info("no")
    log.error("yes", path=Path("/a"))
    assert [json.loads(line)["path"] for line in out.getvalue().splitlines()] == ["/a"]
    with pytest.raises(ValueError):
        log.set_level("loud")


def test_tuning_names_the_setting_it_cannot_use(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    tuning = Tuning({"BLACKHOLE_TUNING_CACHE": "12", "OTHER": "1"}, file)
    assert tuning.get("cache", int, 1) == 12
    assert tuning.get("other", int, 1) == 1
    file.write_text('{"cache": "many"}')
    assert tuning.reload() == ["cache"]
    with pytest.raises(ValueError, match="cannot use the setting cache='many'"):
        tuning.get("cache", int, 1)
    file.write_text("[]")
    with pytest.raises(ValueError, match="one JSON object"):
        tuning.reload()


def test_the_configuration_of_the_demo() -> None:
    spec = parse(demo.demo_yaml(7400, "/data/with space", "/usr/bin/python3", "/lib/x"), "demo", Path("/"))
    assert tuple(spec.services) == tuple(demo.SERVICES)
    ports = [port for service in spec.services.values() for port in service.ports]
    assert sorted(ports) == list(range(7400, 7400 + demo.PORTS))
    for name, service in spec.services.items():
        assert service.probe.kind is ProbeKind.GRPC
        assert service.probe.target == service.contract == demo.targets(7400)[name]
        assert service.data == (f"/data/with space/{name}",)
        assert service.limits.memory and service.metrics and service.tuning
        assert service.environment["PYTHONPATH"] == "/lib/x"
        assert service.depends_on == dict.fromkeys(demo.SERVICES[name], Condition.HEALTHY)
