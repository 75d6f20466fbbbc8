"""The text of `metrics` and `metrics remote-write`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli.verbs.metrics import remote_write, show
from bhtui.core.measure import SPARKS, shown, spark
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.rpc.blackhole.v1.metrics_pb2 import Series
from bhtui.rpc.convert.metrics import remote_write_from_message, remote_write_to_message
from bhtui.rpc.convert.sending import sending_to_json

NOW = 1_767_323_045_000_000_000
SECOND = 10**9
NAN = float("nan")
SERIES = Series(
    service="api", instance="api-1", metric="memory_bytes", times_ns=[SECOND, 2 * SECOND, 3 * SECOND],
    values=[1 << 20, NAN, 60 << 20], limit=64 << 20, lows=[1 << 20, NAN, 50 << 20], highs=[2 << 20, NAN, 63 << 20],
)  # fmt: skip
BAD = RemoteWriteStatus(
    "mimir", "http://prom:9090/api/v1/write", "failing", 1_234_567, 99, 12, 3, 4, 600, 2048, 75.0, 0,
    "cannot reach it\x1b[31m", NOW, NOW - 90 * SECOND,
)  # fmt: skip


def test_a_series_is_a_line_with_its_numbers_and_how_it_went() -> None:
    text = show.render([("web-1", SERIES)], (0.0, 3.0), 80, hosts=True)
    heads, whose, line = text.splitlines()
    assert heads.split() == ["LAST", "MEAN", "LEAST", "MOST"]
    assert whose == "web-1 api-1"
    assert line.split()[:9] == ["memory_bytes", "60", "M", "30", "M", "1.0", "M", "63", "M"]
    assert line.endswith("█")
    assert all(len(each) <= 80 for each in text.splitlines())


def test_what_was_not_measured_is_said() -> None:
    assert "nothing was measured" in show.render([], (0.0, 1.0), 80, hosts=False)
    empty = Series(instance="api-1", metric="fds", times_ns=[1], values=[NAN])
    assert "nothing was measured" in show.render([("", empty)], (0.0, 1.0), 80, hosts=False)


def test_a_gap_has_no_point() -> None:
    points = show.to_json(SERIES, "web-1")["points"]
    assert [point["time"] for point in points] == ["1970-01-01T00:00:01.000000000Z", "1970-01-01T00:00:03.000000000Z"]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e9)), max_size=50), st.integers(1, 60))
def test_a_spark_has_its_width_and_the_greatest_is_highest(points: list[tuple[float, float]], width: int) -> None:
    drawn = spark([time for time, _ in points], [value for _, value in points], (0.0, 100.0), width)
    assert len(drawn) == width
    assert set(drawn) <= set(SPARKS) | {" "}
    assert (SPARKS[-1] in drawn) == any(value > 0 for _, value in points)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("cpu_percent", 3.14159, "3.1 %"), ("cpu_percent", 250.0, "250 %"), ("memory_bytes", 3 << 20, "3.0 M"),
        ("read_bytes_per_second", 2048, "2.0 K/s"), ("requests_per_second", 1.5, "1.50/s"),
        ("latency_p95_seconds", 0.25, "250 ms"), ("threads", 12, "12"), ("load1", 0.5, "0.50"),
    ],
)  # fmt: skip
def test_numbers_have_the_unit_of_their_metric(metric: str, value: float, text: str) -> None:
    assert shown(metric, value) == text


def test_remote_write_fits_a_terminal_and_drives_none() -> None:
    text = remote_write.render([("", BAD)], NOW, hosts=False)
    assert "1.2 M" in text
    assert "600 2.0 K" in text
    assert "for 1 min: cannot reach it\\x1b[31m" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "metrics.remote_write" in remote_write.render([], NOW, hosts=False)


def test_remote_write_travels_whole() -> None:
    assert remote_write_from_message(remote_write_to_message([BAD, BAD])) == [BAD, BAD]
    assert remote_write_from_message(remote_write_to_message([])) == []
    said = sending_to_json(BAD, "web-1")
    assert list(said)[:3] == ["host", "name", "target"]
    assert said["last_sent"] is None
    assert said["failing_since"].endswith("Z")
