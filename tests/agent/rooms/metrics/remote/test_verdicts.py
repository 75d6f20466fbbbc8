from bhtui.agent.rooms.metrics.remote.verdicts import EVERY, Told, judge
from bhtui.core.event import EventKind
from bhtui.core.remotewrite import RemoteWriteStatus

SECOND = 10**9
GOOD = RemoteWriteStatus("mimir", "http://p/write", "ok", sent=10)
BAD = RemoteWriteStatus(
    "mimir",
    "http://p/write",
    "failing",
    behind_samples=7,
    behind_bytes=2048,
    last_error="away",
    failing_since_ns=100 * SECOND,
)


def kinds(verdicts):
    return [each.kind for each in verdicts]


def test_trouble_is_told_once_after_a_while_and_its_end_once():
    told, said = judge(Told(), BAD, 60, 0, 130 * SECOND)
    assert said == []
    told, said = judge(told, BAD, 60, 0, 165 * SECOND)
    assert kinds(said) == [EventKind.REMOTE_WRITE_FAILING]
    assert said[0].message == "remote write to mimir has failed for 1 min: away; 7 samples (2.0 K) wait on disk"
    told, said = judge(told, BAD, 60, 0, 300 * SECOND)
    assert said == []
    told, said = judge(told, GOOD, 60, 0, 301 * SECOND)
    assert kinds(said) == [EventKind.REMOTE_WRITE_RECOVERED]
    assert judge(told, GOOD, 60, 0, 302 * SECOND)[1] == []


def test_losses_are_told_at_most_once_a_minute_with_their_number():
    told, said = judge(Told(), RemoteWriteStatus("mimir", "t", "ok", dropped=5), 60, 1000.0, 0)
    assert (kinds(said), said[0].data) == ([EventKind.REMOTE_WRITE_LOST], {"name": "mimir", "count": 5})
    told, said = judge(told, RemoteWriteStatus("mimir", "t", "ok", dropped=9), 60, 1010.0, 0)
    assert said == []
    told, said = judge(told, RemoteWriteStatus("mimir", "t", "ok", dropped=9, rejected=2), 60, 1000.0 + EVERY, 0)
    assert [each.data["count"] for each in said] == [4, 2]


def test_lagging_is_told_too():
    late = RemoteWriteStatus("mimir", "t", "lagging", behind_seconds=90.0, behind_samples=4)
    _, said = judge(Told(), late, 60, 0, 0)
    assert kinds(said) == [EventKind.REMOTE_WRITE_LAGGING]
