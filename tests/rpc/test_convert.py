"""What goes over the wire comes back as it was, for every core type."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.core import backup as core_backup
from bhtui.core import errors, event, logs, maintenance, operation, request, resources, series, status
from bhtui.rpc.blackhole.v1 import operations_pb2, status_pb2
from bhtui.rpc.convert import backup as convert_backup
from bhtui.rpc.convert import config as convert_config
from bhtui.rpc.convert import events as convert_events
from bhtui.rpc.convert import logs as convert_logs
from bhtui.rpc.convert import maintenance as convert_maintenance
from bhtui.rpc.convert import metrics as convert_metrics
from bhtui.rpc.convert import operations as convert_operations
from bhtui.rpc.convert import resources as convert_resources
from bhtui.rpc.convert import status as convert_status

text = st.text(st.characters(codec="utf-8"), max_size=20)
int64 = st.integers(0, 2**63 - 1)
int32 = st.integers(0, 2**31 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.lists(text, max_size=3).map(tuple)
json_objects = st.dictionaries(text, st.one_of(int32, text, st.booleans(), st.none()), max_size=3)
actors = st.builds(operation.Actor, text, text)

instances = st.builds(
    status.InstanceStatus,
    service=text,
    instance=text,
    health_detail=text,
    pid=st.none() | int32,
    uptime_seconds=st.none() | finite,
    restarts=int32,
    next_start_seconds=st.none() | finite,
    cpu_percent=st.none() | finite,
    memory_bytes=st.none() | int64,
    memory_limit_bytes=st.none() | int64,
    last_error=text,
    since_ns=int64,
    threads=st.none() | int32,
    fds=st.none() | int32,
    ports=st.lists(st.integers(1, 65535), max_size=3).map(tuple),
    limits_override_by=text,
    limits_override_seconds=st.none() | finite,
    endpoint=text,
    scaling=st.none() | st.builds(status.Scaling, int32, int32, text, finite),
    auto_scale=text,
    untold=text,
    log_dropped=st.none() | st.builds(status.LogDropped, int64, int64, finite, text),
)
steps = st.builds(operation.Step, int32, text, text, text, st.sampled_from(operation.StepState), text, int64, int64)
operations = st.builds(
    operation.Operation,
    id=text,
    kind=text,
    targets=names,
    actor=actors,
    reason=text,
    state=st.sampled_from(operation.OperationState),
    steps=st.lists(steps, max_size=3).map(tuple),
    effects=names,
    error=text,
    note=text,
    created_ns=int64,
    started_ns=int64,
    ended_ns=int64,
)
requests = st.one_of(
    st.builds(request.StartRequest, names, text, text, st.booleans(), st.booleans()),
    st.builds(request.StopRequest, names, st.booleans(), finite, st.booleans()),
    st.builds(request.RestartRequest, names, st.booleans(), st.booleans()),
    st.builds(request.ReloadConfigRequest, text, text, st.booleans(), text),
    st.builds(request.ResumeRequest, text),
    st.builds(request.RollBackRequest, text),
    st.builds(request.OpenWindowRequest, finite, names),
    st.builds(request.CloseWindowRequest, text),
    st.builds(request.ScaleRequest, names, st.none() | int32),
    st.builds(
        request.AutoScaleRequest,
        names,
        st.booleans(),
        *[st.none() | int32 for _ in range(2)],
        *[st.none() | finite for _ in range(2)],
    ),
    st.builds(
        request.SetLimitsRequest, text, st.none() | int64, st.none() | finite, *[st.none() | int64 for _ in range(3)]
    ),
    st.builds(request.ResetLimitsRequest, text),
    st.builds(request.SetPriorityRequest, text, st.none() | st.integers(-20, 19), st.none() | text),
    st.builds(request.ClearCacheRequest, names),
    st.builds(request.CollectGarbageRequest, names, st.booleans()),
)
used = st.builds(
    resources.InstanceResources,
    service=text,
    instance=text,
    pid=st.none() | int32,
    limits=st.lists(
        st.builds(resources.LimitState, text, st.none() | finite, text, text, int64, text, text), max_size=3
    ).map(tuple),
    memory_bytes=st.none() | int64,
    cpu_percent=st.none() | finite,
    threads=st.none() | int32,
    fds=st.none() | int32,
    fds_limit=st.none() | int64,
    read_bytes_per_second=st.none() | finite,
    write_bytes_per_second=st.none() | finite,
    cpu_periods=st.none() | int64,
    cpu_throttled=st.none() | int64,
    cpu_throttled_seconds=st.none() | finite,
    memory_hits=st.none() | int64,
    oom_kills=st.none() | int64,
    disks=st.lists(st.builds(resources.DiskUse, text, text, int64, int64), max_size=2).map(tuple),
    contract=text,
    on_pressure=names,
)
lines_of_batch = st.lists(
    st.builds(
        logs.LogLine,
        int64,
        text,
        text,
        st.sampled_from(["stdout", "stderr"]),
        st.sampled_from(["", *logs.LEVELS]),
        text.map(lambda message: message.replace("\n", " ")),  # a line has none
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    max_size=3,
).map(tuple)
places = st.lists(
    st.builds(logs.LogPlace, text, text, int64, int64, int64, int64, st.lists(int64, max_size=2).map(tuple)), max_size=2
).map(tuple)
snapshots = st.builds(core_backup.BackupSnapshot, text, int64, text, text, names, int64, int64, st.booleans())
entries = st.builds(core_backup.BackupEntry, text, text, st.integers(0, 0o7777), int64, int64, text, text, text)
changes = st.builds(core_backup.BackupChange, text, text, int64, int64)
locks = st.builds(core_backup.RepositoryLock, text, int32, int64, st.booleans(), text)
keys = st.builds(core_backup.RepositoryKey, text, text, text, int64, st.booleans())
protections = st.builds(core_backup.ServiceProtection, text, int64, int64, int64, text, st.booleans(), int64)
progresses = st.builds(core_backup.BackupProgress, text, text, text, int64, int64, int64, int64, text)
sources = st.builds(core_backup.BackupSource, text, text, int64, int64, text)

ROADS: list[tuple[Any, Any, Any]] = [
    (instances, convert_status.instance_to_message, convert_status.instance_from_message),
    (
        st.builds(
            status.HostStatus, text, text, finite, finite, st.none() | finite, int32, int64, int64, finite, int64
        ),
        convert_status.host_to_message,
        convert_status.host_from_message,
    ),
    (
        st.builds(maintenance.Window, text, names, st.booleans(), int64, int64, text, text, text, text),
        convert_maintenance.to_message,
        convert_maintenance.from_message,
    ),
    (used, convert_resources.to_message, convert_resources.from_message),
    (operations, convert_operations.operation_to_message, convert_operations.operation_from_message),
    (requests, convert_operations.request_to_message, convert_operations.request_from_message),
    (
        st.builds(event.Event, int64, int64, text, text, text, json_objects, st.none() | actors),
        convert_events.event_to_message,
        convert_events.event_from_message,
    ),
    (
        st.builds(logs.LogBatch, lines_of_batch, int64, int64, st.booleans(), places, int64),
        convert_logs.batch_to_message,
        convert_logs.batch_from_message,
    ),
    (
        st.builds(logs.LogBatch, lines_of_batch, int64, int64, st.booleans(), places, int64),
        partial(convert_logs.batch_to_message, columns=True),
        convert_logs.batch_from_message,
    ),
    (
        st.builds(
            logs.LogsQuery,
            names,
            int64,
            int64,
            int32,
            st.booleans(),
            text,
            st.booleans(),
            st.booleans(),
            text,
            names,
            int32,
            places,
        ),
        convert_logs.query_to_message,
        convert_logs.query_from_message,
    ),
    (
        st.builds(
            series.Series,
            text,
            text,
            text,
            st.lists(int64, max_size=3).map(tuple),
            st.lists(finite, max_size=3).map(tuple),
            st.none() | finite,
        ),
        convert_metrics.series_to_message,
        convert_metrics.series_from_message,
    ),
    (
        st.builds(series.SeriesQuery, names, names, int64, int64, finite),
        convert_metrics.query_to_message,
        convert_metrics.query_from_message,
    ),
    (
        st.builds(errors.Problem, text, int32, int32, text, text),
        convert_config.problem_to_message,
        convert_config.problem_from_message,
    ),
    (
        st.builds(
            core_backup.Backups,
            st.lists(snapshots, max_size=2).map(tuple),
            st.lists(sources, max_size=2).map(tuple),
            text,
            text,
            int64,
            text,
            st.lists(protections, max_size=2).map(tuple),
            st.lists(progresses, max_size=2).map(tuple),
        ),
        convert_backup.backups_to_message,
        convert_backup.backups_from_message,
    ),
    (
        st.builds(core_backup.BackupFiles, text, st.lists(entries, max_size=2).map(tuple), st.booleans()),
        convert_backup.files_to_message,
        convert_backup.files_from_message,
    ),
    (
        st.builds(core_backup.BackupDiff, text, text, st.lists(changes, max_size=2).map(tuple), int64, int64),
        convert_backup.diff_to_message,
        convert_backup.diff_from_message,
    ),
    (
        st.builds(
            core_backup.RepositoryStats,
            text,
            locks=st.lists(locks, max_size=2).map(tuple),
            keys=st.lists(keys, max_size=2).map(tuple),
        ),
        convert_backup.stats_to_message,
        convert_backup.stats_from_message,
    ),
]


@pytest.mark.parametrize("road", ROADS, ids=lambda road: getattr(road[1], "__name__", "columns"))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_there_and_back(road: tuple[Any, Any, Any], data: st.DataObject) -> None:
    values, there, back = road
    value = data.draw(values)
    message = there(value)
    again = type(message).FromString(message.SerializeToString())
    assert back(again) == value


def test_every_field_of_a_status_crosses() -> None:
    """A field added to one side only would be lost in silence."""
    for core_type, message in (
        (status.InstanceStatus, status_pb2.InstanceStatus),
        (status.HostStatus, status_pb2.HostStatus),
        (operation.Operation, operations_pb2.Operation),
        (operation.Step, operations_pb2.Step),
        (operation.PlannedStep, None),
    ):
        if message is not None:
            assert {f.name for f in fields(core_type)} == set(message.DESCRIPTOR.fields_by_name)


@settings(max_examples=50, deadline=None)
@given(instances)
def test_the_two_roads_of_status_agree(value: status.InstanceStatus) -> None:
    quick = convert_status.instance_to_json(value)
    wire = convert_status.instance_to_message(value)
    assert json.loads(json.dumps(quick)) == convert_status.message_to_json(wire)


def test_the_json_of_status_has_the_promised_keys() -> None:
    promised = (
        "host service instance state health pid uptime_seconds restarts "
        "cpu_percent memory_bytes memory_limit_bytes last_error"
    )
    value = status.InstanceStatus("a", "a-1", "running", "up", "healthy")  # type: ignore[arg-type]
    assert set(promised.split()) <= set(convert_status.instance_to_json(value))


def test_an_unknown_request_is_refused_with_the_remedy() -> None:
    with pytest.raises(errors.UsageError, match="upgrade"):
        convert_operations.request_from_message(operations_pb2.OperationRequest(id="1"))


@pytest.mark.parametrize("timeout", [None, 0.0, 5.0])
def test_no_grace_is_another_thing_than_the_declared_one(timeout: float | None) -> None:
    asked = request.StopRequest(("db",), timeout=timeout)
    assert convert_operations.request_from_message(convert_operations.request_to_message(asked)) == asked


def test_a_conflict_names_who_is_in_the_way() -> None:
    holder = operation.Operation(
        "1f0c22ab" + "0" * 24,
        "stop",
        ("storage",),
        operation.Actor("ada", "desk"),
        "",
        operation.OperationState.RUNNING,
        (),
    )
    assert convert_operations.conflict_text(holder) == "stop storage by ada@desk (1f0c22ab), running"
