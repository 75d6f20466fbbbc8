"""Moments on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli.times import moment_ns
from bhtui.core.errors import UsageError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW_NS),
        ("1h", NOW_NS - 3600 * 10**9),
        ("1m30s", NOW_NS - 90 * 10**9),
        ("11:30", NOW_NS - 1800 * 10**9),
        ("12:30", NOW_NS - (86400 - 1800) * 10**9),
        ("11:59:59", NOW_NS - 10**9),
        ("2026-03-01T11:00:00Z", NOW_NS - 3600 * 10**9),
        ("2026-03-01T11:00:00", NOW_NS - 3600 * 10**9),
        ("2026-03-01T13:00:00+02:00", NOW_NS - 3600 * 10**9),
        ("2026-03-01", NOW_NS - 12 * 3600 * 10**9),
        ("1772366400", 1772366400 * 10**9),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert moment_ns(text, "--since", NOW) == expected


@given(st.text(max_size=12))
def test_anything_is_a_moment_or_a_usage_error(text: str) -> None:
    try:
        assert isinstance(moment_ns(text, "--since", NOW), int)
    except UsageError as error:
        assert "write for example" in str(error)
