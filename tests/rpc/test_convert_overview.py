"""The overview comes back from the wire as it was, with numbers known and unknown."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core import overview as core
from bhtui.rpc.blackhole.v1 import overview_pb2 as pb
from bhtui.rpc.convert.overview import from_message, to_json, to_message

text = st.text(st.characters(codec="utf-8"), max_size=10)
whole = st.integers(0, 2**31 - 1)
finite = st.floats(0, 1e9, allow_nan=False)


units = st.builds(
    core.Unit, name=text, why=text, pid=st.none() | whole, cpu_percent=st.none() | finite, processes=whole
)
listeners = st.builds(core.Listener, protocol=text, address=text, port=whole, pid=st.none() | whole, instance=text)
processes = st.builds(core.Process, pid=whole, name=text, cpu_percent=st.none() | finite, command=text)
interfaces = st.builds(core.Interface, text, st.none() | finite, st.none() | finite)
machines = st.builds(
    core.Machine,
    hostname=text,
    cpu_percent=st.none() | finite,
    memory_total_bytes=whole,
    pressures=st.lists(st.builds(core.Pressure, text, finite, finite), max_size=2).map(tuple),
    disks=st.lists(st.builds(core.FileSystem, text, total_bytes=whole), max_size=2).map(tuple),
    interfaces=st.lists(interfaces, max_size=2).map(tuple),
)
overviews = st.builds(
    core.Overview,
    machine=machines,
    services=whole,
    failed=st.lists(units, max_size=2).map(tuple),
    units=st.lists(units, max_size=2).map(tuple),
    containers=st.lists(st.builds(core.Container, name=text, memory_bytes=st.none() | whole), max_size=2).map(tuple),
    listeners=st.lists(listeners, max_size=2).map(tuple),
    processes=st.lists(processes, max_size=2).map(tuple),
    unseen=st.lists(text, max_size=2).map(tuple),
    time_ns=whole,
)


@given(overviews)
def test_there_and_back(seen: core.Overview) -> None:
    assert from_message(to_message(seen)) == seen


@given(overviews)
def test_programs_can_read_it(seen: core.Overview) -> None:
    said = json.loads(json.dumps(to_json(seen, "web-1")))
    keys = "host machine services failed units containers listeners processes unseen time"
    assert list(said) == keys.split()
    assert [each["pid"] for each in said["listeners"]] == [each.pid for each in seen.listeners]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (core.Unit, pb.OverviewUnit),
        (core.Container, pb.OverviewContainer),
        (core.Listener, pb.OverviewListener),
        (core.Process, pb.OverviewProcess),
        (core.FileSystem, pb.OverviewFileSystem),
        (core.Interface, pb.OverviewInterface),
        (core.Pressure, pb.OverviewPressure),
        (core.Machine, pb.OverviewMachine),
        (core.Overview, pb.OverviewResponse),
    ],
)
def test_names_of_fields_are_the_same(kind: type, message: type) -> None:
    assert [each.name for each in fields(kind)] == [each.name for each in message.DESCRIPTOR.fields]
