"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.units import format_age, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("7d", 604800), ("1w", 604800), ("3", 3), (2.5, 2.5)],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10 parsecs", "-1s", "1m 30", "1,5s", -1])
def test_what_is_no_duration_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 64 << 20), ("100MB", 100 << 20), ("1.5 GiB", 3 << 29), ("512", 512), (7, 7), ("4g", 4 << 30)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "12X", "-4M", -4])
def test_what_is_no_size_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 K"), (64 << 20, "64 M"), (4 << 30, "4.0 G")]
)
def test_sizes_are_shown_short(count: int, shown: str) -> None:
    assert format_size(count) == shown


@given(st.integers(0, 1 << 45))
def test_a_shown_size_reads_back_nearly_the_same(count: int) -> None:
    assert parse_size(format_size(count)) == pytest.approx(count, rel=0.06, abs=1)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (59.9, "59 s"), (240, "4 min"), (7200, "2 h"), (3e5, "3 d")]
)
def test_ages(seconds: float, shown: str) -> None:
    assert format_age(seconds) == shown
