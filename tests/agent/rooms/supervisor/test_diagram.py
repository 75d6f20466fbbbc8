from pathlib import Path

from bhtui.agent.rooms.supervisor.diagram import MEANING, mermaid, page
from bhtui.core.states import EDGES, State

PAGE = Path(__file__).parents[4] / "docs/reference/states.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m bhtui.agent.rooms.supervisor.diagram " + str(PAGE)


def test_it_shows_every_edge_and_every_state() -> None:
    assert mermaid().count("-->") == 1 + sum(len(targets) for targets in EDGES.values())
    assert set(MEANING) == set(State)
