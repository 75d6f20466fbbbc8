"""What the details of an instance say."""

from __future__ import annotations

from bhtui.console.columns.services import ServiceRow
from bhtui.console.models.host import HostView, InstanceView
from bhtui.console.panes.detail import _facts
from bhtui.console.sources.message import HostInfo
from bhtui.rpc.blackhole.v1 import status_pb2


def facts(**fields: object) -> list[tuple[str, str]]:
    status = status_pb2.InstanceStatus(service="api", instance="api-1", state="running", goal="up", **fields)  # type: ignore[arg-type]
    view = InstanceView(status)
    row = ServiceRow(HostView(HostInfo("web-1"), instances={"api-1": view}), view)
    return [(label, "".join(text for text, _ in spans)) for label, spans in _facts(row, 100.0, 40)]


def test_how_the_number_follows_the_load() -> None:
    assert "by load" not in dict(facts())
    found = facts(auto_scale="auto 1..5: cpu 91 % of one core over 60 s, above 80 %: 1 -> 2")
    assert [(label, text.rstrip()) for label, text in found[-2:]] == [
        ("by load", "auto 1..5: cpu 91 % of one core over 60"),
        ("", "s, above 80 %: 1 -> 2"),
    ]


def test_that_others_do_not_know_which_are_ready() -> None:
    assert "others" not in dict(facts())
    assert facts(untold="on_change fails: exit 1")[-1] == ("others", "on_change fails: exit 1")


def test_what_is_not_in_the_log() -> None:
    assert "log" not in dict(facts())
    dropped = status_pb2.LogDropped(lines=48210, bytes=3 << 20, seconds=4, limit="9 lines in 1 s")
    assert [(label, text.rstrip()) for label, text in facts(log_dropped=dropped)[-2:]] == [
        ("log", "lacks 48,210 lines (3.0 M) over 9 lines"),
        ("", "in 1 s, last 4 s ago"),
    ]
