"""Writes docs/reference/ from the sources themselves: `make docs`. The same sources make the same pages.

What a page says of a thing stands beside that thing in the code, as its docstring, comment or help; a page is never
edited by hand. `pages()` is what tests/docs compares with the files.
"""

from __future__ import annotations

import json
from pathlib import Path

from bhtui.agent.rooms.supervisor import diagram
from bhtui.config.schema import schema
from bhtui.console import actions
from docs.pages import api, cli, configuration, facts

HERE = Path(__file__).parent
ROOT = HERE.parent


def pages() -> dict[str, str]:
    """File name in docs/reference to its text."""
    made = {
        "cli": cli.page, "configuration": configuration.page, "events": facts.events, "steps": facts.steps,
        "metrics": facts.metrics, "states": diagram.page, "keys": actions.docs, "api": api.page, "errors": facts.errors,
    }  # fmt: skip
    return {f"{name}.md": f"{make().rstrip()}\n" for name, make in made.items()}


def schema_text() -> str:
    """configs/blackhole.schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes every page, and the schema for editors."""
    for name, text in pages().items():
        (HERE / "reference" / name).write_text(text, encoding="utf-8")
    (ROOT / "configs/blackhole.schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
