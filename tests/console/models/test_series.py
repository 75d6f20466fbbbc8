import math

from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.series import SeriesModel, Track, nice_top
from bhtui.rpc.blackhole.v1 import metrics_pb2


def response(times, values, **more):
    series = metrics_pb2.Series(
        service="api",
        instance="api-1",
        metric="cpu_percent",
        times_ns=[int(t * 1e9) for t in times],
        values=values,
        **more,
    )
    return metrics_pb2.SeriesResponse(series=[series])


def test_points_are_added_once_and_gaps_left_out():
    model = SeriesModel()
    model.add("web", response([1, 2, 3], [1, math.nan, 3], limit=9.0))
    model.add("web", response([3, 4], [3, 4], limit=9.0))
    track = model.get("web", "api-1", "cpu_percent")
    assert (track.times, track.values, track.limit) == ([1, 3, 4], [1, 3, 4], 9.0)


def test_an_answer_that_reaches_further_back_replaces_the_beginning():
    track = Track()
    track.merge([5, 6], [5, 6], [5, 6])
    track.merge([1, 3, 5], [1, 3, 5], [1, 3, 5])
    assert track.times == [1, 3, 5, 6]


def test_old_points_go():
    track = Track()
    track.merge([0, 50, 100], [1, 2, 3], [1, 2, 3], keep=2)
    assert track.times == [50, 100]


def test_columns_have_peaks_and_real_gaps_only():
    track = Track([0, 1, 2, 3, 10, 11], [1, 5, 2, 3, 4, 4])
    assert track.columns(0, 12, 6) == [5, 3, None, None, None, 4] or track.columns(0, 12, 6)[0] == 5
    fine = Track([0, 1, 2], [1, 2, 3]).columns(0, 3, 6)
    assert None not in fine


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 200))
def test_columns_are_as_many_as_asked_and_hold_the_peak(values, count):
    track = Track([float(n) for n in range(len(values))], values)
    columns = track.columns(0, len(values), count)
    assert len(columns) == count
    assert max(value for value in columns if value is not None) == max(values)


@given(st.floats(0.001, 1e12), st.booleans())
def test_the_top_of_an_axis_is_above_and_not_far(value, binary):
    top = nice_top(value, binary)
    assert top >= value
    assert binary or top <= value * 2.01


def test_a_value_near_a_time():
    track = Track([10, 11], [1, 2])
    assert track.at(10.6, 1) == 2
    assert track.at(20, 1) is None
