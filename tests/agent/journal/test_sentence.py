"""What is told of a step that failed says each thing once."""

import pytest

from bhtui.agent.journal.book import sentence


@pytest.mark.parametrize(
    ("what", "reason", "said"),
    [
        ("start api-1", "port 80 is in use", "cannot start api-1: port 80 is in use"),
        ("start api-1", "cannot start api-1: port 80 is in use", "cannot start api-1: port 80 is in use"),
        ("back up job", "cannot back up: nothing is there", "cannot back up job: nothing is there"),
        ("remove the key a of /r", "cannot remove the key ab: in use", "cannot remove the key ab: in use"),
        ("back up job", "cannot reach far: gone; wait", "cannot back up job, because it cannot reach far: gone; wait"),
        ("back up job", "cannot go on", "cannot back up job, because it cannot go on"),
    ],
)  # fmt: skip
def test_sentence(what, reason, said):
    assert sentence(what, reason) == said
