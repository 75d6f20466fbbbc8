from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.columns.backups import SNAPSHOTS
from bhtui.console.columns.column import GAP, Column, layout
from bhtui.console.columns.fleet import FLEET
from bhtui.console.columns.operations import EVENTS, OPERATIONS
from bhtui.console.columns.services import SERVICES, ServiceRow
from bhtui.console.models.fleet import FleetView, reduce_fleet
from bhtui.console.models.host import HostView
from bhtui.console.paint import fit, width_of
from bhtui.console.sources.message import HostInfo
from snapshots.hosts import NOW
from snapshots.world import messages

TABLES = (FLEET, SERVICES, OPERATIONS, EVENTS, SNAPSHOTS)


@given(st.sampled_from(TABLES), st.integers(20, 250))
def test_columns_never_take_more_than_there_is(columns, width):
    shown = layout(columns, width)
    total = sum(size + GAP for _, size in shown) - GAP
    assert total <= max(width, sum(one.width + GAP for one in columns if not one.priority) - GAP)
    assert all(size >= column.width for column, size in shown)


def test_the_least_wanted_goes_first():
    columns = [
        Column("A", 5, lambda *_: ()),
        Column("B", 5, lambda *_: (), priority=2),
        Column("C", 5, lambda *_: (), priority=1),
    ]
    assert [column.title for column, _ in layout(columns, 12)] == ["A", "C"]


@given(st.integers(1, 40), st.integers(0, 3))
def test_cells_of_real_hosts_fit_every_width(width, skipped):
    fleet = FleetView()
    for seen in WORLD:
        fleet = reduce_fleet(fleet, seen)
    for view in list(fleet.hosts.values())[skipped:]:
        for column in FLEET:
            assert width_of(fit(column.cell(view, NOW, width), width)) == width


WORLD = [seen for seen in messages() if seen.time >= NOW - 1 or seen.time < NOW - 60]


def test_cells_of_a_host_nobody_heard_of_say_so():
    view = HostView(HostInfo("new"))
    texts = ["".join(text for text, _ in column.cell(view, NOW, column.width)) for column in FLEET]
    assert "connecting" in texts
    assert texts.count("-") >= 6


def test_cells_of_services():
    fleet = FleetView()
    for seen in messages():
        fleet = reduce_fleet(fleet, seen)
    host = fleet.hosts["web-07"]
    row = ServiceRow(host, host.instances["api-1"])
    texts = [" ".join(text for text, _ in column.cell(row, NOW, column.width)) for column in SERVICES]
    assert "backoff 8 s" in texts
    assert "↻6" in texts
