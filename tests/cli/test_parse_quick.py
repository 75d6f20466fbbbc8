"""Which command lines take the quick road."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli.main import parse_quick


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("status", ([], "table", False)),
        ("status api storage", (["api", "storage"], "table", False)),
        ("status --output json", ([], "json", False)),
        ("--output=json status api", (["api"], "json", False)),
        ("status -o json --detailed", ([], "json", True)),
        ("status status", (["status"], "table", False)),
        ("status --output yaml", None),
        ("status --output", None),
        ("status --output --host --output=json", None),
        ("status --watch", None),
        ("status --help", None),
        ("status --host web", None),
        ("stop", None),
        ("", None),
    ],
)
def test_forms(line: str, expected: object) -> None:
    assert parse_quick(line.split()) == expected


@given(
    st.lists(
        st.sampled_from(["status", "api", "--output", "json", "--host", "-w", "--detailed", "--", "--output=json"])
    )
)
def test_what_it_does_not_know_goes_to_click(words: list[str]) -> None:
    plain = parse_quick(words)
    if plain is not None:
        assert not {"--host", "-w", "--"} & set(words)
