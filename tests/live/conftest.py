"""What several live tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.machine import Machine
from tests.live.machine_image import image


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """One booted Debian host for all tests that want one."""
    with Machine(image()) as made:
        yield made
