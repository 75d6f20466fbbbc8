"""Nothing in the repository tells of one machine or one moment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Put together here, so that this file does not contain what it looks for.
PATHS = re.compile(r"(?<![\w.~-])/(?:wor" + r"k/|root/\.py" + r"env|root/\.cac" + r"he|tmp/h[a-z0-9]*/)")
PROMISES = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
REGISTRIES = re.compile(
    r"(?:pyp"
    + r"i\.org|python"
    + r"hosted\.org|registry\.np"
    + r"mjs|crates"
    + r"\.io|docker"
    + r"\.io|--index"
    + r"-url)"
)


def texts() -> Iterator[tuple[str, str]]:
    """Every tracked text file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a checkout")
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file():
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode(errors="replace")


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (PATHS, "a path of one machine"),
        (PROMISES, "something to be done later"),
        (REGISTRIES, "the host of a registry"),
    ],
    ids=["paths", "promises", "registries"],
)
def test_tracked_files_are_clean(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], f"{what} stands in these lines"
