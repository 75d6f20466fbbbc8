from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.logs import cri

LATEST = 253_402_300_799_999_999_999


@given(
    st.integers(0, LATEST),
    st.sampled_from(["stdout", "stderr"]),
    st.booleans(),
    st.binary().filter(lambda b: b"\n" not in b),
)
def test_a_line_is_read_as_it_was_written(time_ns, stream, partial, text):
    raw = cri.stamp(time_ns) + f" {stream} {'P' if partial else 'F'} ".encode() + text
    assert cri.parse(raw) == cri.Record(time_ns, stream, partial, text)
    assert cri.text_of(raw) == text


@given(st.integers(0, LATEST), st.integers(0, LATEST))
def test_stamps_compare_as_times(one, other):
    assert (cri.stamp(one) < cri.stamp(other)) == (one < other)


@given(st.binary())
def test_any_bytes_are_taken(raw):
    cri.parse(raw)
    assert cri.time_of(raw) >= -1


def test_what_is_not_in_the_format_is_no_record():
    good = b"2026-01-02T03:04:05.000000006Z stdout F x"
    assert cri.parse(good) is not None
    for bad in (
        b"",
        b"plain",
        good.replace(b"stdout", b"stdin!"),
        good.replace(b" F ", b" X "),
        good.replace(b"-01-", b"-13-"),
    ):
        assert cri.parse(bad) is None
        assert cri.text_of(b"plain") == b"plain"


def test_times_out_of_range_are_brought_to_the_nearest():
    assert cri.stamp(-5) == b"1970-01-01T00:00:00.000000000Z"
    assert cri.stamp(10**30).startswith(b"9999-12-31T23:59:59.")
