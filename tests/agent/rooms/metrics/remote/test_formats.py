import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.metrics.figures import EXPORTED
from bhtui.agent.rooms.metrics.model import INSTANCE_METRICS
from bhtui.agent.rooms.metrics.remote.snappy import block, common, varint
from bhtui.agent.rooms.metrics.remote.wire import MOST_SAMPLES, Encoder

from . import reading

part = st.binary(max_size=200) | st.sampled_from([b"a" * 300, b"a" * 299 + b"b", b"x" * 70_000])


@given(st.lists(st.tuples(part, part, part), max_size=12))
def test_what_is_packed_is_unpacked_again(pieces):
    assert reading.unpacked(block(pieces)) == b"".join(b"".join(piece) for piece in pieces)


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_what_two_begin_with(one, other):
    size = common(one, other)
    assert one[:size] == other[:size]
    assert size == min(len(one), len(other)) or one[size] != other[size]


@given(st.integers(0, 2**63 - 1))
def test_numbers(value):
    assert reading.varint(varint(value), 0) == (value, len(varint(value)))


def usage(instances):
    return {
        "process_resource_usage": [
            (("api", f"api-{n}", resource), n + 0.5) for n in range(instances) for resource in INSTANCE_METRICS
        ]
    }


def test_a_request_says_what_the_endpoint_says():
    ((body, count),) = Encoder({"job": "blackhole", "host": "web-1"}).requests(
        {**usage(2), "grpc_request_duration_seconds_bucket": [(("s", "m", "OK", "0.5"), 3)]}, 1_700_000_000_123
    )
    found = reading.series(body)
    assert len(found) == count == 2 * len(INSTANCE_METRICS) + 1
    assert found[0] == (
        {"__name__": "process_resource_usage", "host": "web-1", "instance": "api-0", "job": "blackhole",
         "resource": "cpu_percent", "service": "api"}, 0.5, 1_700_000_000_123,
    )  # fmt: skip
    assert found[-1][0]["le"] == "0.5"


def test_what_series_have_in_common_is_sent_once():
    bodies = Encoder({"job": "blackhole", "host": "web-1"}).requests(usage(150), 1)
    whole = sum(len(reading.unpacked(body)) for body, _ in bodies)
    assert sum(len(body) for body, _ in bodies) < 0.55 * whole


def test_many_samples_are_several_requests():
    bodies = Encoder({}).requests(usage(400), 1)
    assert [count for _, count in bodies] == [
        MOST_SAMPLES,
        MOST_SAMPLES,
        400 * len(INSTANCE_METRICS) - 2 * MOST_SAMPLES,
    ]


def test_a_series_that_is_gone_is_ended_once():
    encoder = Encoder({})
    encoder.requests(usage(2), 1)
    ends = [one for body, _ in encoder.requests(usage(1), 2) for one in reading.series(body) if math.isnan(one[1])]
    assert {labels["instance"] for labels, _, _ in ends} == {"api-1"}
    assert len(ends) == len(INSTANCE_METRICS)
    assert struct.pack("<d", ends[0][1]) == struct.pack("<Q", 0x7FF0000000000002)
    assert not any(math.isnan(one[1]) for body, _ in encoder.requests(usage(1), 3) for one in reading.series(body))


def test_every_figure_can_be_sent():
    figures = {name: [(each.labels, 1.0)] for name, each in EXPORTED.items() if each.kind != "histogram"}
    ((body, _),) = Encoder({}).requests(figures, 1)
    assert {labels["__name__"] for labels, _, _ in reading.series(body)} == set(figures)
