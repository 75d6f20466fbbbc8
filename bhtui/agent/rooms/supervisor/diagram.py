"""The page on the states of an instance, drawn from EDGES: `python -m bhtui.agent.rooms.supervisor.diagram [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from bhtui.core.states import ALIVE, EDGES, SETTLED, State

MEANING = {
    State.STOPPED: "It does not run: it was stopped, has completed, or was never started.",
    State.WAITING: "It is to be started, once what it depends on is there.",
    State.STARTING: "Its process runs, and its first readiness is awaited.",
    State.RUNNING: "It runs, and has been ready.",
    State.STOPPING: "It was asked to end; after its grace all its processes are killed.",
    State.BACKOFF: "It has ended and will be started again after a delay.",
    State.FAILED: "It will not be started again by itself; the reason and its last log lines are shown.",
}


def mermaid() -> str:
    """The states and the edges between them, as a Mermaid diagram."""
    lines = ["stateDiagram-v2", "    [*] --> stopped"]
    lines += [f"    {origin} --> {target}" for origin in State for target in State if target in EDGES[origin]]
    return "\n".join(lines)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def page() -> str:
    """The whole page, as Markdown."""
    rows = [f"| `{state}` | {MEANING[state]} | {_yes(state in ALIVE)} | {_yes(state in SETTLED)} |" for state in State]
    return "\n".join((
        "# States of an instance",
        "",
        "Generated from the transition table in `bhtui/core/states.py` by",
        "`python -m bhtui.agent.rooms.supervisor.diagram docs/reference/states.md`; do not edit.",
        "No other change of state is possible: the supervisor checks each against this table.",
        "",
        "```mermaid",
        mermaid(),
        "```",
        "",
        "| state | meaning | has a process | lasts |",
        "|---|---|---|---|",
        *rows,
        "",
    ))  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
