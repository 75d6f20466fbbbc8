from collections.abc import Iterator

import pytest

from tests.keeper.support import Running, running_keeper


@pytest.fixture
def keeper() -> Iterator[Running]:
    with running_keeper() as one:
        yield one
