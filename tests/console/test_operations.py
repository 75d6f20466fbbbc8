"""What is shown of an operation when there is little room."""

from __future__ import annotations

import pytest

from bhtui.console.columns.operations import EVENTS, EventRow, OperationRow
from bhtui.console.models.host import HostView
from bhtui.console.screens.operations import StepsPane
from bhtui.console.sources.message import HostInfo
from bhtui.rpc.blackhole.v1 import events_pb2, operations_pb2


@pytest.mark.parametrize(
    ("target", "told"),
    [("api-1", "api-1"), ("1f0c22ab" * 4, "1f0c22ab"), ("/etc/blackhole/blackhole.yaml", "blackhole.yaml")],
)
def test_the_target_of_an_event_is_told_by_what_it_is_known_by(target: str, told: str) -> None:
    row = EventRow(HostView(HostInfo("web")), events_pb2.Event(target=target))
    column = next(one for one in EVENTS if one.title == "TARGET")
    assert "".join(text for text, _ in column.cell(row, 0.0, 18)) == told


def test_why_it_failed_comes_before_what_else_is_told_of_it() -> None:
    steps = [operations_pb2.Step(title=f"start api-{n}", state="failed" if n == 4 else "skipped") for n in range(9)]
    failed = operations_pb2.Operation(
        kind="restart", targets=["api"], state="failed", steps=steps, error="cannot start api-4: exit 1",
        note="`blackhole operations resume 1` goes on " * 4, effects=["db stays up"] * 4,
    )  # fmt: skip
    pane = StepsPane()
    pane.about = OperationRow(HostView(HostInfo("web")), failed)
    shown = ["".join(text for text, _ in line.spans) for line in pane.draw(80, 9)[:9]]
    assert any("cannot start api-4: exit 1" in line for line in shown)
    assert any("1 step before" in line or "steps before" in line for line in shown)
