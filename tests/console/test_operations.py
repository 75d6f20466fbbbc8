"""What is shown of an operation when there is little room."""

from __future__ import annotations

from bhtui.console.columns.operations import OperationRow
from bhtui.console.models.host import HostView
from bhtui.console.screens.operations import StepsPane
from bhtui.console.sources.message import HostInfo
from bhtui.rpc.blackhole.v1 import operations_pb2


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
