"""Plain tables: aligned, coloured only on a terminal, the state always said by a word and a shape too.

Imported by the quick `status`, so it imports nothing that costs time.
"""

from __future__ import annotations

import os
import sys

DROPPED_SHOWN = 600.0
"""Seconds for which `status` without details tells of what was over a rate limit."""
EMERGENCY = "emergency stop"
"""What holds everything at once begins so, and is told once."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TextIO

RED, GREEN, YELLOW, BLUE, GREY, BOLD = "31", "32", "33", "34", "90", "1"

STATES = {
    "running": ("●", "*", GREEN),
    "starting": ("◐", "+", BLUE),
    "stopping": ("◑", "-", BLUE),
    "waiting": ("◌", ".", BLUE),
    "backoff": ("↻", "~", YELLOW),
    "stopped": ("○", "o", GREY),
    "failed": ("✗", "x", RED),
    # of operations and their steps
    "done": ("✓", "v", GREEN),
    "pending": ("·", ".", GREY),
    "cancelling": ("◑", "-", YELLOW),
    "cancelled": ("⊘", "/", YELLOW),
    "skipped": ("⊘", "/", GREY),
    "rolling-back": ("↶", "<", YELLOW),
    "undoing": ("↶", "<", YELLOW),
    "undone": ("↶", "<", YELLOW),
    "undo-failed": ("✗", "x", RED),
}
"""State: its shape, its shape where only ASCII can be shown, its colour."""

HEALTH = {"healthy": GREEN, "degraded": YELLOW, "unhealthy": RED, "unknown": GREY}

RIGHT = frozenset(
    {
        "SENT",
        "WAIT",
        "AGAIN",
        "REFUSED",
        "LOST",
        "LINES",
        "SIZE",
        "FATAL",
        "ERROR",
        "WARNING",
        "INFO",
        "DEBUG",
        "TRACE",
        "OTHER",
        "PID",
        "UPTIME",
        "RESTARTS",
        "CPU",
        "MEMORY",
        "LIMIT",
        "THREADS",
        "FDS",
        "SEQ",
        "AGE",
        "NEW",
    }
)
"""Columns of numbers."""


def colourful(stream: TextIO | None = None) -> bool:
    """Whether the stream, by default standard output, is a terminal that wants colour (https://no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and (stream or sys.stdout).isatty()


def shapely() -> bool:
    """Whether standard output can show more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def paint(text: str, colour: str, wanted: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if wanted and colour else text


def printable(text: str) -> str:
    """Without control characters: what a service wrote must not drive the terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\t" else f"\\x{ord(each):02x}" for each in text)


def state_cell(state: str) -> tuple[str, str]:
    """The text and colour of a state."""
    shape, plain, colour = STATES.get(state, ("?", "?", ""))
    return f"{shape if shapely() else plain} {state}", colour


def write_out(text: str = "") -> None:
    """Writes the text, and all that was printed before; a reader that has gone away (`| head`) is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        hush()


def hush() -> None:
    """Nobody reads any more: what is still in buffers goes nowhere, so that the interpreter's end is quiet too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[tuple[str, str]]],
    below: Mapping[int, Sequence[str]] | None = None,
    notes: Mapping[int, Sequence[str]] | None = None,
) -> str:
    """Lines of a table of (text, colour) cells; `notes` and then `below` are lines under a row, by its number."""
    cells = [list(row) for row in rows]
    widths = [max([len(head), *(len(row[at][0]) for row in cells)]) for at, head in enumerate(heads)]
    colours = colourful()
    lines = [_line([(head, BOLD) for head in heads], heads, widths, colours)]
    for number, row in enumerate(cells):
        lines.append(_line(row, heads, widths, colours))
        lines += [paint(f"    {printable(text)}", GREY, colours) for text in (notes or {}).get(number, ())]
        lines += [paint(f"    {printable(text)}", RED, colours) for text in (below or {}).get(number, ())]
    return "".join(f"{line}\n" for line in lines)


def _line(row: Sequence[tuple[str, str]], heads: Sequence[str], widths: Sequence[int], colours: bool) -> str:
    parts = []
    for (text, colour), head, width in zip(row, heads, widths, strict=True):
        space = " " * (width - len(text))
        shown = paint(text, colour, colours)
        parts.append(space + shown if head in RIGHT else shown + space)
    return "  ".join(parts).rstrip()


def size(count: float | None) -> str:
    """As core.units.format_size, which is not imported for its regular expressions; a test holds them equal."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "K", "M", "G"):
        if abs(value) < 1023.5:
            return f"{value:.0f} {unit}" if unit == "B" or abs(value) >= 9.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.0f} T" if abs(value) >= 9.95 else f"{value:.1f} T"


def age(seconds: float | None) -> str:
    """As core.units.format_age; a test holds them equal."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= length:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def unwell(instance: Mapping[str, Any]) -> bool:
    """Whether this instance makes the exit code of `status` 1."""
    return bool(instance["state"] == "failed" or instance["health"] == "unhealthy")


def status_json(instances: Sequence[Mapping[str, Any]]) -> str:
    """A list, one object a line."""
    import json

    if not instances:
        return "[]\n"
    return "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in instances) + "\n]\n"


def status_table(
    instances: Sequence[Mapping[str, Any]], *, detailed: bool = False, hosts: bool = False, width: int = 0
) -> str:
    """What `status` prints: a row for each instance, below it why it is not well.

    Details that do not fit into `width` (0: as wide as it takes) stand below the row instead of in it.
    """
    if not instances:
        return (
            "no services are declared here; declare some in blackhole.yaml and run `blackhole start`\n"
            "what runs here nevertheless: `blackhole overview`\n"
        )
    heads = ["INSTANCE", "STATE", "HEALTH", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "LIMIT"]
    if detailed:
        heads += ["THREADS", "FDS", "HELD BY", "LIMITS", "PROBE", "LAST RUN", "PORTS", "ENDPOINT", "REPLICAS", "SINCE"]
        heads += ["KIND"]
    if hosts:
        heads.insert(0, "HOST")
    rows = [_status_row(each, detailed, hosts) for each in instances]
    first, notes = 9 + hosts, dict[int, list[str]]()
    if detailed and 0 < width < _width(heads, rows):
        notes = {number: _folded(heads[first:], row[first:], width) for number, row in enumerate(rows)}
        heads, rows = heads[:first], [row[:first] for row in rows]
    below = {number: _reasons(each, detailed) for number, each in enumerate(instances)}
    told = _emergency(instances, hosts) + _loads(instances, detailed, hosts) + _untold(instances, hosts)
    return table(heads, rows, below, notes) + told


def _width(heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> int:
    return sum(max(len(head), *(len(row[at][0]) for row in rows)) + 2 for at, head in enumerate(heads)) - 2


def _folded(heads: Sequence[str], cells: Sequence[tuple[str, str]], width: int) -> list[str]:
    """`threads 8, fds 41, ...` in lines that fit; what is not known is left out."""
    lines = [""]
    for head, (text, _) in zip(heads, cells, strict=True):
        said = f"{head.lower()} {text}"
        if text == "-":
            continue
        if lines[-1] and 4 + len(lines[-1]) + 2 + len(said) + 1 > width:
            lines.append("")
        lines[-1] += f", {said}" if lines[-1] else said
    return [line for line in lines if line]


def terminal_width() -> int:
    """Columns of the terminal that standard output is; 0: it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0


def _emergency(instances: Sequence[Mapping[str, Any]], hosts: bool) -> str:
    """Where an emergency stop holds everything down, a line for each host."""
    told: dict[str, None] = {}
    for each in instances:
        if (each.get("held") or "").startswith(EMERGENCY):
            told[(f"{each['host']}: " if hosts else "") + f"everything is held down: {printable(each['held'])}"] = None
    return "".join(f"{paint(line, RED, colourful())}\n" for line in told)


def notes_text(notes: Iterable[str], host: str = "") -> str:
    """What is wrong with an agent itself, a line for each."""
    colours, where = colourful(), f"{host}: " if host else ""
    return "".join(f"{paint(where + printable(note), RED, colours)}\n" for note in notes)


def _loads(instances: Sequence[Mapping[str, Any]], detailed: bool, hosts: bool) -> str:
    """How the number of instances follows the load, a line for each service; without details where it is held."""
    told: dict[str, None] = {}
    for each in instances:
        said = printable(each["auto_scale"])
        if said and (detailed or ": held" in said):
            told[(f"{each['host']} " if hosts else "") + f"{each['service']}: {said}"] = None
    return "".join(f"{line}\n" for line in told)


def _untold(instances: Sequence[Mapping[str, Any]], hosts: bool) -> str:
    """Whose ready instances others do not know, a line for each service: all of them look well, and get no requests."""
    told: dict[str, None] = {}
    for each in instances:
        if each.get("untold"):
            name = (f"{each['host']} " if hosts else "") + each["service"]
            told[f"{name}: others do not know which are ready: {printable(each['untold'])}"] = None
    return "".join(f"{line}\n" for line in told)


def _status_row(each: Mapping[str, Any], detailed: bool, hosts: bool) -> list[tuple[str, str]]:
    alive = each["state"] in ("running", "starting", "stopping")
    row = [
        (each["instance"], ""),
        state_cell(each["state"]),
        (each["health"], HEALTH.get(each["health"], "")) if alive else ("-", GREY),
        (_number(each["pid"]), ""),
        (age(each["uptime_seconds"]), ""),
        (_number(each["restarts"]), YELLOW if each["restarts"] else ""),
        ("-" if each["cpu_percent"] is None else f"{each['cpu_percent']:.1f} %", ""),
        (size(each["memory_bytes"]), _near_limit(each)),
        (size(each["memory_limit_bytes"]), ""),
    ]
    if detailed:
        row += [
            (_number(each["threads"]), ""),
            (_number(each["fds"]), ""),
            (each["limits_held_by"] or "-", ""),
            (origin(each["limits_override_by"], each["limits_override_seconds"]), ""),
            (each["probe"], ""),
            (each["result"], ""),
            (" ".join(map(str, each["ports"])) or "-", ""),
            (each.get("endpoint") or "-", ""),
            (replicas(each.get("scaling"), each.get("auto_scale", "")), ""),
            ((each["since"] or "-")[:19], ""),
            (kind(each["kind"], each["ref"]), ""),
        ]
    return [(each["host"], ""), *row] if hosts else row


def origin(by: str, seconds: float | None) -> str:
    """Where limits come from: `spec`, or who set them at run time."""
    return f"override by {printable(by)} {age(seconds)} ago" if by else "spec"


def kind(name: str, ref: str) -> str:
    """Who supervises it: `process`, or `systemd nginx.service`."""
    return f"{printable(name)} {printable(ref)}".strip()


def replicas(scaling: Mapping[str, Any] | None, auto_scale: str) -> str:
    """How many instances its service has: `spec`, or `3 instead of 1, by ada 5 min ago` where it was set at run time.

    Where the number follows the load: `auto 1..5, 3 instead of 1 since 5 min`.
    """
    auto = auto_scale.partition(":")[0]
    if scaling is None:
        return auto or "spec"
    by, ago = printable(scaling["by"]), age(scaling["seconds"])
    if auto and by == "agent":
        return f"{auto}, {_count(scaling)} since {ago}"
    return f"{auto}{', ' if auto else ''}{_count(scaling)}, by {by} {ago} ago"


def _count(scaling: Mapping[str, Any]) -> str:
    """`3 instead of 1`; `2 as declared` where somebody set the number that is declared by now."""
    same = scaling["replicas"] == scaling["declared"]
    return f"{scaling['replicas']} as declared" if same else f"{scaling['replicas']} instead of {scaling['declared']}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _near_limit(each: Mapping[str, Any]) -> str:
    used, limit = each["memory_bytes"], each["memory_limit_bytes"]
    return YELLOW if used is not None and limit and used >= 0.9 * limit else ""


def dropped_text(lines: int, amount: int, seconds: float, limit: str) -> str:
    """What was over the rate limit of a log."""
    return f"its log lacks {lines} lines ({size(amount)}) over {limit or 'the rate limit'}, last {age(seconds)} ago"


def _reasons(each: Mapping[str, Any], detailed: bool) -> list[str]:
    """Why an instance is not as it should be, at most a few lines unless details are asked for."""
    lines: list[str] = []
    if each["state"] == "waiting" and each["waiting_for"]:
        lines.append(f"waits for {each['waiting_for']}")
    if each["state"] in ("failed", "backoff", "stopped") or each.get("held"):  # a start that failed was stopped again
        lines += each["last_error"].splitlines()
    if each.get("held") and not each["held"].startswith(EMERGENCY):
        lines.append(f"held: {each['held']}")
    if each.get("restarts_note"):
        lines.append(each["restarts_note"])
    if each["state"] == "backoff" and each["next_start_seconds"] is not None:
        lines.append(f"starts again in {each['next_start_seconds']:.1f} s")
    # A unit or container whose manager cannot be asked is unknown for a reason; a probe that is yet to come has none.
    unasked = each["health"] == "unknown" and each["state"] == "running" and each.get("ref")
    if (unasked or each["health"] in ("unhealthy", "degraded")) and each["health_detail"]:
        lines += each["health_detail"].splitlines()
    if (dropped := each.get("log_dropped")) and (detailed or dropped["seconds"] < DROPPED_SHOWN):
        lines.append(dropped_text(dropped["lines"], dropped["bytes"], dropped["seconds"], dropped["limit"]))
    return lines if detailed or len(lines) <= 6 else [*lines[:1], "...", *lines[-4:]]
