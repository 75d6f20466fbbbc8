from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.host import HostView, InstanceView
from bhtui.console.models.panels import LEAST_HEIGHT, LEAST_WIDTH, Subject, grid, panels, scopes
from bhtui.console.models.series import Track
from bhtui.console.sources.message import HostInfo
from bhtui.rpc.blackhole.v1 import status_pb2


def host(name, *instances):
    made = {one: InstanceView(status_pb2.InstanceStatus(service=one[:-2], instance=one)) for one in instances}
    return HostView(HostInfo(name), instances=made)


def test_what_can_be_looked_at_begins_with_the_nearest():
    found = scopes([host("web", "api-1", "api-2", "db-1")], "api-2")
    assert [scope.name for scope in found] == [
        "api-2", "2 instances of api", "the host", "2 services", "3 instances",
    ]  # fmt: skip
    assert found[1].subjects == (Subject("web", "api-1"), Subject("web", "api-2"))
    assert found[3].subjects == (Subject("web", "api", True), Subject("web", "db", True))


def test_of_several_hosts_or_of_none_that_is_known():
    found = scopes([host("a", "x-1"), host("b")], "")
    assert [scope.name for scope in found] == ["2 hosts", "1 services", "1 instances"]
    assert [scope.name for scope in scopes([host("b")], "")] == ["the host"]


def test_a_graph_each_or_all_in_one():
    one, two = Subject("h", "a-1"), Subject("h", "b-1")
    assert [panel.key for panel in panels([one, two], ["m", "n"], False)] == [
        "m h/a-1", "m h/b-1", "n h/a-1", "n h/b-1",
    ]  # fmt: skip
    assert [panel.key for panel in panels([one, two], ["m"], True)] == ["m h/a-1 h/b-1"]


@given(st.integers(1, 80), st.integers(30, 300), st.integers(4, 80))
def test_graphs_fit_and_are_never_too_small_to_read(count, width, height):
    found = grid(count, width, height)
    assert found.columns * found.width + found.columns - 1 <= width
    assert sum(found.heights) == height
    assert len(found.heights) == found.rows
    assert found.columns == 1 or found.width >= LEAST_WIDTH
    assert min(found.heights) >= min(height, LEAST_HEIGHT)
    assert found.columns <= count
    assert (found.rows - 1) * found.columns < count


def test_what_a_track_comes_to():
    track = Track([1.0, 2.0, 3.0, 4.0], [1.0, 5.0, 3.0, 9.0], [2.0, 8.0, 3.0, 9.0])
    assert track.summary(1.5, 3.5) == (3.0, 4.0, 8.0)
    assert track.summary(5, 6) is None
