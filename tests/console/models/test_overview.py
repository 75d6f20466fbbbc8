"""What can be adopted of what a host runs, and what is said of a host without services: pure."""

from dataclasses import replace

import pytest

from bhtui.console.models.host import HostView, InstanceView, reduce_host
from bhtui.console.models.match import parse
from bhtui.console.models.overview import bare_text, failed_units, is_bare, things
from bhtui.console.models.trouble import Level, host_level, trouble_text
from bhtui.console.sources.message import HostInfo, LinkSeen, Seen
from bhtui.rpc.blackhole.v1 import agent_pb2, status_pb2
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb

NOW = 1000.0
LIVE = HostView(HostInfo("web"), LinkSeen("live"), seen_at=NOW, agent=agent_pb2.AgentInfo())


def host(**seen: object) -> HostView:
    return reduce_host(LIVE, Seen(NOW, "web", pb.OverviewResponse(**seen)))


FAILED = [pb.OverviewUnit(name=f"{name}.service", state="failed") for name in ("a", "b", "c", "d")]


@pytest.mark.parametrize(
    ("about", "target"),
    [
        ({"pid": 7}, "7"),
        ({"pid": 7, "unit": "nginx.service"}, "nginx.service"),
        ({"pid": 7, "unit": "x.service", "container": "web"}, "container:web"),
        ({"pid": 7, "instance": "web-1"}, ""),
        ({"pid": 7, "unit": "user@1000.service"}, ""),
    ],
)
def test_what_a_process_is_adopted_as(about: dict[str, object], target: str) -> None:
    found = things(host(processes=[pb.OverviewProcess(command="x", **about)], listeners=[pb.OverviewListener(**about)]))
    assert (found.processes[0].target, found.listeners[0].target) == (target, target)


def test_what_is_nothing_to_adopt() -> None:
    found = things(
        host(
            processes=[pb.OverviewProcess(pid=2, command="[kthreadd]")],
            listeners=[pb.OverviewListener(protocol="udp")],
            units=[pb.OverviewUnit(name="tmp.mount"), pb.OverviewUnit(name="web.service", service="web")],
            containers=[pb.OverviewContainer(name="db", service="db")],
        )
    )
    every = (*found.processes, *found.listeners, *found.units, *found.containers)
    assert [each.target for each in every] == [""] * 5


def test_a_unit_that_failed_and_is_busy_is_one_row() -> None:
    found = things(
        host(failed=FAILED[:1], units=[pb.OverviewUnit(name="a.service"), pb.OverviewUnit(name="z.service")])
    )
    assert [each.about.name for each in found.units] == ["a.service", "z.service"]
    assert found.find(found.units[1].key) is found.units[1]
    assert found.find("unit  gone") is None


def test_a_filter_looks_at_what_is_shown() -> None:
    view = host(failed=FAILED, containers=[pb.OverviewContainer(name="x", image="a:1")])
    found = things(view, parse("a"))
    assert [each.about.name for each in found.units] == ["a.service", "b.service", "c.service", "d.service"]
    assert len(things(view, parse("a:1")).containers) == 1
    assert things(view, parse("b.service")).containers == ()


def test_failed_units_count_where_nothing_is_declared_and_nowhere_else() -> None:
    bare = host(failed=FAILED)
    assert is_bare(bare)
    assert bare_text(bare) == "4 units failed: a.service, b.service, c.service …"
    assert host_level(bare, NOW) is Level.WARN
    assert trouble_text(bare, NOW) == "4 units failed"
    one = InstanceView(status_pb2.InstanceStatus(service="x", instance="x-1", state="running", health="healthy"))
    declared = replace(bare, instances={"x-1": one})
    assert failed_units(declared) == ()
    assert host_level(declared, NOW) is Level.FINE
    assert not is_bare(declared)


def test_a_host_that_is_not_known_or_has_a_refused_configuration_is_not_bare() -> None:
    assert not is_bare(HostView(HostInfo("web")))
    assert not is_bare(replace(LIVE, agent=agent_pb2.AgentInfo(config_error="line 3: no")))
    assert bare_text(LIVE) == "no services declared"
