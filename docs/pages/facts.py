"""The pages on what happens and is measured: events, steps, metrics, errors."""

from __future__ import annotations

import importlib
from pathlib import Path

from bhtui.agent.journal.model import NoUndo, StepKind
from bhtui.agent.rooms.metrics.figures import EXPORTED
from bhtui.agent.rooms.metrics.model import HOST_METRICS, INSTANCE_METRICS, SERVED_METRICS
from bhtui.core import event
from bhtui.core.errors import BlackholeError
from bhtui.rpc.errors import CODES

from .markdown import docstring, made_from, table

ROOT = Path(__file__).parents[2]


def events() -> str:
    """The page on the kinds of events."""
    lines = made_from("Events", "bhtui/core/event.py")
    lines += ["`blackhole events --kind KIND` shows one kind, `--kind instance.` all that begin so.", ""]
    lines += table(("kind", "meaning"), [(f"`{kind}`", event.MEANING[kind]) for kind in event.EventKind])
    return "\n".join(lines)


def step_kinds() -> list[StepKind]:
    """Those of every room that has steps."""
    rooms = sorted((ROOT / "bhtui/agent/rooms").glob("*/steps.py"))
    modules = [importlib.import_module(f"bhtui.agent.rooms.{path.parent.name}.steps") for path in rooms]
    return [kind for module in modules for kind in module.kinds(None)]


def steps() -> str:
    """The page on the kinds of steps."""
    lines = made_from("Steps of operations", "bhtui/agent/rooms/*/steps.py")
    lines += ["What an operation is made of. A step that was running when the agent died runs again.", ""]
    rows = [(f"`{kind.name}`", docstring(kind.do), undo(kind)) for kind in step_kinds()]
    return "\n".join(lines + table(("kind", "what it does", "undone by"), rows))


def undo(kind: StepKind) -> str:
    """How a step is undone, or why not."""
    return f"nothing: {kind.undo.why}" if isinstance(kind.undo, NoUndo) else docstring(kind.undo)


def metrics() -> str:
    """The page on what is measured."""
    lines = made_from("Metrics", "bhtui/agent/rooms/metrics/prometheus.py", "bhtui/agent/rooms/metrics/model.py")
    for of, measured in (
        ("Of an instance, once a second", INSTANCE_METRICS),
        ("Of an instance with `metrics`, every ten seconds", SERVED_METRICS),
        ("Of the host, once a second", HOST_METRICS),
    ):
        lines += [f"## {of}", ""]
        lines += table(("metric", "meaning"), [(f"`{name}`", each.help) for name, each in measured.items()])
    lines += ["## Prometheus endpoint", "", "Open when `metrics.listen` is set, at `/metrics`, on loopback only.", ""]
    rows = [
        (f"`{name}`", each.kind, " ".join(f"`{label}`" for label in each.labels), each.help)
        for name, each in EXPORTED.items()
    ]
    return "\n".join(lines + table(("metric", "type", "labels", "meaning"), rows))


def errors() -> str:
    """The page on errors and exit codes."""
    lines = made_from("Errors and exit codes", "bhtui/core/errors.py", "bhtui/rpc/errors.py")
    lines += ["Every error says what cannot be done, why, and what to do next. 130: ended by Ctrl-C.", ""]
    kinds_of = [BlackholeError, *BlackholeError.__subclasses__()]
    named = {kind for kind, _ in CODES}
    rows = [
        (str(kind.exit_code), f"`{kind.__name__}`", next(f"`{c.name}`" for k, c in CODES if k is kind), docstring(kind))
        for kind in sorted(named & set(kinds_of), key=lambda kind: kind.exit_code)
    ]
    lines += table(("exit code", "error", "gRPC status", "meaning"), rows)
    return "\n".join(lines)
