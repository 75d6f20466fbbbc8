"""The progress of an operation on standard error: redrawn in place on a terminal, else a line for each step's change.

What a program reads (the operation as JSON) goes to standard output, so the two never mix.
"""

from __future__ import annotations

import shutil
import sys

from bhtui.rpc.blackhole.v1.operations_pb2 import Operation, Step

from .present import STATES, colourful, paint, printable, shapely

QUIET = frozenset({"", "pending"})
"""States of a step that are not told."""


class Progress:
    """Shows one operation; `host` is put before every line when there are several."""

    def __init__(self, host: str = "", in_place: bool | None = None) -> None:
        self._host = f"{host}: " if host else ""
        self._in_place = sys.stderr.isatty() and not host if in_place is None else in_place
        self._drawn = 0
        self._told: dict[int, tuple[str, str]] = {}

    def show(self, operation: Operation) -> None:
        if self._in_place:
            self._redraw(operation)
        else:
            self._tell(operation)
        sys.stderr.flush()

    def note(self, text: str) -> None:
        """A remark between the steps."""
        self._drawn = 0
        sys.stderr.write(f"{self._host}{text}\n")
        sys.stderr.flush()

    def _redraw(self, operation: Operation) -> None:
        width, height = shutil.get_terminal_size()
        lines = [self._step(step, operation)[: width - 1] for step in operation.steps]
        if len(lines) > height - 2:
            # What is over or not begun gives way to what is going on.
            busy = [
                line for line, step in zip(lines, operation.steps, strict=True) if step.state in ("running", "failed")
            ]
            lines = [f"{_done(operation)} of {len(lines)} steps done", *busy[: height - 3]]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        sys.stderr.write(up + "".join(f"\x1b[2K{_coloured(line)}\n" for line in lines) + "\x1b[J")
        self._drawn = len(lines)

    def _tell(self, operation: Operation) -> None:
        for step in operation.steps:
            now = (step.state, step.detail if step.state in ("waiting", "failed") else "")
            if step.state not in QUIET and self._told.get(step.index) != now:
                self._told[step.index] = now
                sys.stderr.write(f"{self._host}{self._step(step, operation)}\n")

    def _step(self, step: Step, operation: Operation) -> str:
        shape, plain, _ = STATES.get(step.state, ("?", "?", ""))
        took = f" ({(step.ended_ns - step.started_ns) / 1e9:.1f} s)" if step.ended_ns and step.started_ns else ""
        # Why it is undone was said when it failed, and why all has failed is said at the end.
        told = step.detail and step.state != "undoing" and not _is_why(step, operation)
        detail = f": {printable(step.detail.splitlines()[0])}" if told else ""
        mark = shape if shapely() else plain
        return f"{mark} [{step.index + 1}/{len(operation.steps)}] {printable(step.title)}: {step.state}{took}{detail}"


class Silent(Progress):
    """Shows nothing: it was said already."""

    def show(self, operation: Operation) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def _is_why(step: Step, operation: Operation) -> bool:
    why = step.detail.partition("\n")[0]
    return step.state in ("failed", "undone") and bool(why) and why in operation.error


def _done(operation: Operation) -> int:
    return sum(step.state == "done" for step in operation.steps)


def _coloured(line: str) -> str:
    colour = next((colour for shape, _, colour in STATES.values() if line.startswith(shape)), "")
    return paint(line, colour, colourful(sys.stderr))
