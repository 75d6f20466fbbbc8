"""What each instance has for itself, and what two of them cannot both have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.diff import fingerprint
from bhtui.core.replica import (
    all_instances,
    clashes,
    fill,
    instance_spec,
    instances,
    number_of,
    used,
    with_replicas,
)
from bhtui.core.spec import ProbeKind, ProbeSpec, ServiceSpec, Spec, StopSpec

API = ServiceSpec(
    "api",
    ("serve", "--port", "{port}", "--admin={port2}", "--name", "{instance}"),
    working_dir="/srv/{instance}",
    environment={"N": "{replica}", "RAW": "{{port}} ${port} %{port} {other} {}"},
    data=("/srv/{instance}/data",),
    probe=ProbeSpec(ProbeKind.HTTP, "http://127.0.0.1:{port}/health"),
    stop=StopSpec(command=("halt", "{port}")),
    contract="127.0.0.1:{port2}",
    ports=(8080, 9080),
    replicas=3,
)


def said(*services: ServiceSpec, taken: dict[int, str] | None = None) -> list[str]:
    return [each.message for each in clashes({s.name: s for s in services}, taken or {})]


def test_each_instance_has_its_own():
    second = instances(API)["api-2"]
    assert second.command == ("serve", "--port", "8081", "--admin=9081", "--name", "api-2")
    assert second.ports == (8081, 9081)
    assert second.environment == {"N": "2", "RAW": "{port} ${port} %{port} {other} {}"}
    assert (second.working_dir, second.data) == ("/srv/api-2", ("/srv/api-2/data",))
    assert second.probe.target == "http://127.0.0.1:8081/health"
    assert (second.stop.command, second.contract) == (("halt", "8081"), "127.0.0.1:9081")
    assert instances(API)["api-1"].ports == (8080, 9080)
    assert list(all_instances({"api": API, "db": ServiceSpec("db", ("db",))})) == ["api-1", "api-2", "api-3", "db-1"]


def test_a_step_keeps_the_ports_apart_or_shares_them():
    assert instance_spec(replace(API, port_step=10), 3).ports == (8100, 9100)
    assert instance_spec(replace(API, port_step=0), 3).ports == (8080, 9080)


def test_what_has_no_placeholder_is_as_it_was():
    plain = ServiceSpec("web", ("sh", "-c", "echo ${name} {a} {}"), environment={"A": "{{b}}"}, ports=(80,))
    assert instance_spec(plain, 1) == plain
    assert fingerprint(instance_spec(plain, 1)) == fingerprint(plain)


def test_another_number_or_step_restarts_nobody_whose_port_stays():
    first = fingerprint(instance_spec(API, 1))
    assert fingerprint(instance_spec(replace(API, replicas=9), 1)) == first
    assert fingerprint(instance_spec(replace(API, port_step=5), 1)) == first
    assert fingerprint(instance_spec(API, 2)) != first


@given(st.text(), st.dictionaries(st.sampled_from(["port", "replica", "instance"]), st.text(), max_size=3))
def test_filling_in_never_fails_and_leaves_what_is_unknown(text: str, values: dict[str, str]):
    filled = fill(text, values)
    if not used([text]) & set(values) and "{{" not in text:
        assert filled == text


@pytest.mark.parametrize(("name", "number"), [("api-2", 2), ("a-b-10", 10), ("api", 0), ("api-x", 0), ("api-²", 0)])
def test_the_number_of_an_instance(name: str, number: int):
    assert number_of(name) == number


def test_another_number_of_replicas():
    spec = Spec({"api": API})
    assert with_replicas(spec, {"api": 5, "gone": 2}).services["api"].replicas == 5
    assert with_replicas(spec, {"api": 3}) is spec


def test_two_that_would_have_the_same_are_told():
    assert said(API) == []
    cache = ServiceSpec("cache", ("cache",), ports=(8082,))
    assert said(API, cache) == ["port 8082 of services.cache is already that of api-3"]
    assert said(cache, API) == ["port 8082 of api-3 is already that of services.cache"]
    assert said(API, taken={8081: "metrics.listen"}) == ["port 8081 of api-2 is already that of metrics.listen"]
    assert said(replace(API, ports=(65534, 9080))) == [
        "the port of api-3 would be 65536, and the last there is is 65535"
    ]
    assert said(replace(API, data=("/d",))) == ["/d of api-2 is already the data of api-1"]
    assert said(replace(API, probe=ProbeSpec(ProbeKind.TCP, "127.0.0.1:8080"))) == [
        "the healthcheck of api-2 asks port 8080, which is that of api-1"
    ]
    alike = replace(API, command=("serve",), environment={}, working_dir="/")
    assert said(alike) == ["nothing tells api-2 that its port is 8081"]
    assert said(replace(alike, port_step=0, data=())) == [], "they mean to share it"
