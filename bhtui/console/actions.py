"""The one table of actions. Key bindings, bottom line, `?` help, palette, keymap file and the docs page are made of it.

A context is a place that takes keys: the app, a screen, a pane, or what a pane is made of. A chain is the contexts that
are alive at once for one focus, innermost first; no key may stand for two things in a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

from . import requests
from .models.host import HostView, InstanceView
from .requests import Request

CHAINS: tuple[tuple[str, ...], ...] = (
    ("fleet", "table", "app"),
    ("services", "table", "host", "app"),
    ("logs", "host", "app"),
    ("graphs", "host", "app"),
    ("backups", "table", "host", "app"),
    ("backups", "table", "backups-screen", "app"),
    ("protection", "table", "backups-screen", "app"),
    ("files", "table", "app"),
    ("detail", "instance", "app"),
    ("logs", "instance", "app"),
    ("graphs", "instance", "app"),
    ("logs", "logs-screen", "app"),
    ("grid", "graphs-screen", "app"),
    ("operations", "table", "app"),
    ("events", "table", "app"),
    ("outputs", "table", "app"),
    ("overview", "table", "overview-screen", "app"),
    ("thing", "app"),
)

TITLES = {
    "app": "Everywhere",
    "table": "In every list",
    "fleet": "Fleet",
    "host": "Host",
    "services": "Services",
    "logs": "Logs",
    "logs-screen": "Logs, whole screen",
    "graphs": "Graphs",
    "grid": "Graphs, whole screen",
    "graphs-screen": "Graphs, whole screen: what is shown",
    "backups": "Snapshots",
    "protection": "Backups: services",
    "backups-screen": "Backups",
    "files": "Files in a snapshot, differences of two",
    "instance": "Instance",
    "detail": "Details of an instance",
    "operations": "Operations",
    "events": "Events",
    "outputs": "Outputs",
    "overview-screen": "Overview of a host",
    "overview": "Lists of the overview",
    "thing": "Details of what runs",
    "replay": "Replay of a recording",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What an action would act on: services of one host (none: all of them)."""

    host: HostView
    services: tuple[str, ...]
    instances: tuple[InstanceView, ...]


Applies = Callable[[Sequence[Target]], bool]


def _always(_: Sequence[Target]) -> bool:
    return True


def _in_state(*states: str) -> Applies:
    def applies(targets: Sequence[Target]) -> bool:
        return any(one.status.state in states for target in targets for one in target.instances)

    return applies


@dataclass(frozen=True, slots=True)
class Asks:
    """One value that an action needs before it has a request."""

    label: str
    hint: str
    about: Callable[[Sequence[Target]], str]
    """How it is now, in one line."""
    make: Callable[[str], Request]
    """The request for what was typed. Raises ValueError with what is wrong."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do by key."""

    id: str
    key: str
    label: str
    """In the bottom line; two dots after it mean that a plan is shown first."""
    contexts: tuple[str, ...]
    help: str
    role: Literal["view", "operate"] = "view"
    dangerous: bool = False
    """Whether it takes something away while it runs; its plan says so."""
    footer: int = 0
    """Place in the bottom line; 0: not there."""
    applies_to: Applies = _always
    request: Request | None = None
    asks: Asks | None = None

    @property
    def run(self) -> str:
        """The Textual action that carries it out: the screen's, where a list only takes the key for it."""
        if self.request:
            return f"screen.operate('{self.id}')"
        name = self.id.replace("-", "_")
        return f"screen.{name}" if self.id in _BY_SCREEN else name


def _replicas_now(targets: Sequence[Target]) -> str:
    """`now 3; the configuration declares 1`, for each service."""
    lines = []
    for target in targets:
        for service in target.services:
            mine = [one.status for one in target.host.instances.values() if one.status.service == service]
            scaling = next((status.scaling for status in mine if status.HasField("scaling")), None)
            told = f"; the configuration declares {scaling.declared}, {scaling.by} set it" if scaling else ""
            lines.append(f"{service} has {len(mine)} {'instance' if len(mine) == 1 else 'instances'}{told}")
            lines += dict.fromkeys(status.auto_scale for status in mine if status.auto_scale)
    return "\n".join(lines)


_BY_SCREEN = frozenset(
    {
        "filter",
        "host-logs",
        "faults",
        "group",
        "cancel-operation",
        "go-operations",
        "go-events",
        "go-overview",
        "go-outputs",
        "go-backups",
        "compare-backup",
        "other-list",
        "whole-graphs",
    }
)

_PANES = ("host", "instance", "overview-screen")
_ACTING = ("fleet", "services", "detail")
_ALIVE = ("starting", "running", "backoff", "waiting", "stopping")

ACTIONS: tuple[Action, ...] = (
    Action("start", "s", "start..", _ACTING, "Start the selected or marked services, after showing the plan",
           "operate", False, 20, _in_state("stopped", "failed", "backoff"), requests.start),
    Action("stop", "x", "stop..", _ACTING, "Stop the selected or marked services, after showing the plan",
           "operate", True, 21, _in_state(*_ALIVE), requests.stop),
    Action("restart", "r", "restart..", _ACTING, "Restart the selected or marked services, after showing the plan",
           "operate", True, 22, _in_state(*_ALIVE, "failed"), requests.restart),
    Action("rolling", "R", "rolling..", _ACTING, "Restart one instance at a time, the next when the last is healthy",
           "operate", True, 40, _in_state(*_ALIVE, "failed"), requests.rolling),
    Action("scale", "N", "scale..", ("services", "detail"), "Run another number of instances, after showing the plan",
           "operate", True, request=requests.reset_scale,
           asks=Asks("replicas", "a number, 1..5 by load, or reset", _replicas_now, requests.scale_to)),

    Action("adopt", "a", "adopt..", ("overview", "thing"), "Make a service of it, after showing the text and the plan",
           "operate", False, 20, _always, requests.adopt),

    Action("open", "enter", "open", ("fleet", "services", "operations", "events", "outputs", "overview", "backups",
                              "protection", "files"),
           "Go into what is selected", footer=10),
    Action("mark", "space", "mark", ("fleet", "services"), "Mark; actions then take all that are marked", footer=12),
    Action("mark-all", "asterisk", "mark all", ("fleet", "services"), "Mark everything shown, or nothing"),
    Action("host-logs", "l", "logs", ("fleet",), "Logs of the selected or marked hosts, merged", footer=15),
    Action("faults", "F", "faults", ("fleet",), "Show only what is in trouble, or everything", footer=45),
    Action("group", "g", "group", ("fleet",), "Show the next group of hosts, or all", footer=46),
    Action("sort", "S", "sort", ("fleet", "services", "overview"),
           "Sort by the next column; after the last, by trouble again"),

    Action("up", "up,k", "up", ("table", "logs"), "One row up"),
    Action("down", "down,j", "down", ("table", "logs"), "One row down"),
    Action("page-up", "pageup,ctrl+b", "page up", ("table", "logs"), "One page up"),
    Action("page-down", "pagedown,ctrl+f", "page down", ("table", "logs"), "One page down"),
    Action("first", "home", "first", ("table", "logs"), "To the first row"),
    Action("last", "end,G", "last", ("table",), "To the last row"),
    Action("follow", "end,G", "follow", ("logs",), "To the newest line, and follow", footer=31),
    Action("filter", "slash", "filter", ("fleet", "services", "logs", "operations", "events", "outputs", "overview",
                                  "protection", "files"),
           "Filter: regular expressions, !word for not, \"two words\" for one; in logs also status>=500", footer=30),

    Action("pane-1", "1", "pane 1", _PANES, "To the first pane"),
    Action("pane-2", "2", "pane 2", _PANES, "To the second pane"),
    Action("pane-3", "3", "pane 3", _PANES, "To the third pane"),
    Action("pane-4", "4", "pane 4", ("host", "overview-screen"), "To the fourth pane"),
    Action("next-pane", "tab", "next pane", _PANES, "To the next pane", footer=50),
    Action("previous-pane", "shift+tab", "previous pane", _PANES, "To the pane before"),
    Action("bigger", "plus,equals_sign", "bigger", _PANES, "Give the pane more room: half, whole screen"),
    Action("smaller", "underscore,minus", "smaller", _PANES, "Give the pane less room"),
    Action("zoom", "z", "zoom", _PANES, "The pane on the whole screen, and back", footer=41),
    Action("show-logs", "l", "logs", ("host", "instance"), "The log of the selected service", footer=24),
    Action("show-graphs", "g", "graphs", ("host", "instance"), "The graphs of the selected service", footer=25),
    Action("show-backups", "b", "backups", ("host",), "The backups", footer=26),
    Action("whole-log", "L", "whole log", ("host", "instance"), "The log on a screen of its own", footer=42),

    Action("fields", "f,enter", "fields", ("logs",), "Unfold the fields of a line, JSON or logfmt, or fold", footer=14),
    Action("next-error", "e", "next error", ("logs",), "To the next error", footer=16),
    Action("previous-error", "E", "error before", ("logs",), "To the error before, however far back the host has one"),
    Action("next-warning", "w", "next warning", ("logs",), "To the next warning or error", footer=17),
    Action("previous-warning", "W", "warning before", ("logs",), "To the warning or error before"),
    Action("level", "v", "level", ("logs",), "Show only this level and worse: all, info, warning, error", footer=33),
    Action("wrap", "c", "cut/wrap", ("logs",), "Wrap long lines, or cut them", footer=36),
    Action("left", "left", "left", ("logs",), "Move sideways to the left"),
    Action("right", "right", "right", ("logs",), "Move sideways to the right"),
    Action("mark-line", "m", "mark", ("logs",), "Mark the line", footer=37),
    Action("note-line", "N", "note", ("logs",), "Mark the line and write a note to it, which is exported with it"),
    Action("next-mark", "apostrophe", "next mark", ("logs",), "To the next marked line; after the last, to the first"),
    Action("strip-back", "left_square_bracket", "earlier", ("logs",),
           "Back in time by a part of the histogram; what is not loaded is asked for"),
    Action("strip-on", "right_square_bracket", "later", ("logs",), "On in time by a part of the histogram"),
    Action("export", "x", "export", ("logs",), "Write the lines shown to a file, with marks and notes", footer=38),
    Action("copy", "y", "copy", ("logs",), "Copy the line, or the marked lines, to the clipboard (OSC 52)", footer=39),
    Action("scope", "a", "all/one", ("logs",), "Lines of all services, or of the selected one", footer=34),
    Action("since", "t", "since", ("logs",), "Read from further back: tail, 1 min, 5 min, 15 min, 1 h, 6 h, 1 d, all",
           footer=35),
    Action("since-0", "0", "tail", ("logs-screen",), "The newest lines, then follow"),
    Action("since-1", "1", "1 min", ("logs-screen",), "Lines of the last minute"),
    Action("since-2", "2", "5 min", ("logs-screen",), "Lines of the last 5 minutes"),
    Action("since-3", "3", "15 min", ("logs-screen",), "Lines of the last 15 minutes"),
    Action("since-4", "4", "1 h", ("logs-screen",), "Lines of the last hour"),
    Action("since-5", "5", "6 h", ("logs-screen",), "Lines of the last 6 hours"),
    Action("since-6", "6", "1 d", ("logs-screen",), "Lines of the last day"),
    Action("since-7", "7", "all", ("logs-screen",), "Lines of any age, the newest first loaded"),

    Action("shorter", "left_square_bracket", "shorter", ("graphs", "grid"), "Show less time", footer=15),
    Action("longer", "right_square_bracket", "longer", ("graphs", "grid"), "Show more time: 1 min to 7 d", footer=16),
    Action("earlier", "left", "earlier", ("graphs", "grid"), "Move the time cursor back; the log goes with it",
           footer=17),
    Action("later", "right", "later", ("graphs", "grid"), "Move the time cursor on"),
    Action("now", "end", "now", ("graphs", "grid"), "Drop the time cursor; the log follows again"),
    Action("graphs-up", "up,k", "above", ("graphs",), "To the graphs above"),
    Action("graphs-down", "down,j", "below", ("graphs",), "To the graphs that do not fit"),
    Action("subject", "h", "host/service", ("graphs",), "Graphs of the host, or of the selected service", footer=18),

    Action("pan-back", "comma,shift+left", "pan back", ("grid",), "Half a window back in time", footer=19),
    Action("pan-on", "full_stop,shift+right", "pan on", ("grid",), "Half a window on in time"),
    Action("to-peak", "p", "peak", ("grid",), "The time cursor to the highest point of the selected graph", footer=20),
    Action("panel-up", "up,k", "above", ("grid",), "To the graph above"),
    Action("panel-down", "down,j", "below", ("grid",), "To the graph below"),
    Action("next-panel", "tab", "next", ("grid",), "To the next graph"),
    Action("previous-panel", "shift+tab", "before", ("grid",), "To the graph before"),
    Action("alone", "enter,z", "alone", ("grid",), "The selected graph on the whole screen, and back", footer=14),
    Action("metrics", "m", "metrics", ("graphs-screen",), "The next set of metrics: overview, cpu, memory, disk ...",
           footer=11),
    Action("metric", "M", "one metric", ("graphs-screen",), "Choose one metric, or a set, by name", footer=12),
    Action("whose", "h", "whose", ("graphs-screen",), "Whose: this instance, its service, the host, all services ...",
           footer=10),
    Action("together", "o", "together", ("graphs-screen",), "All in one graph for each metric, or one for each",
           footer=13),
    Action("log-here", "l", "log here", ("graphs-screen",), "The log at the time cursor; its place comes back with you",
           footer=15),
    Action("whole-graphs", "V", "whole graphs", ("fleet", "host", "instance"),
           "Graphs on a screen of their own, of the selected or marked", footer=47),
    Action("graphs-here", "z", "graphs here", ("logs-screen",), "Graphs at the time of this line, on their own screen",
           footer=40),

    Action("back-up", "c", "back up..", ("protection",), "Back up the selected or marked services: what has changed",
           "operate", False, 20, request=requests.back_up("incremental")),
    Action("back-up-fully", "C", "fully..", ("protection",), "Back up the selected or marked services, every byte",
           "operate", False, 21, request=requests.back_up("full")),
    Action("restore-newest", "r", "restore..", ("protection",),
           "Put back the newest backup of the selected or marked services", "operate", True, 22,
           request=requests.restore_newest),
    Action("drill-newest", "d", "drill..", ("protection",),
           "Restore the newest backup on trial and start the service with it, apart from the host",
           "operate", False, 23, request=requests.drill_newest),
    Action("restore", "r", "restore..", ("backups",), "Put this backup back in the place of what is there", "operate",
           True, 20, request=requests.restore),
    Action("drill", "d", "drill..", ("backups",), "Restore this backup on trial and start the service with it",
           "operate", False, 21, request=requests.drill),
    Action("verify-backup", "v", "verify..", ("backups",), "Check every byte of this backup", "operate", False, 22,
           request=requests.verify),
    Action("forget-backup", "x", "forget..", ("backups",), "Take this backup out of the repository", "operate",
           True, 23, request=requests.forget),
    Action("compare-backup", "full_stop", "differs", ("backups-screen",),
           "In what the selected snapshot differs from the one before", footer=24),
    Action("other-list", "tab", "other list", ("backups-screen",), "To the services, or to the snapshots", footer=25),

    Action("cancel-operation", "c", "cancel..", ("operations",), "Cancel the selected operation, after asking",
           "operate", True, 20),
    Action("resume", "r", "resume..", ("operations",), "Go on with what the selected restart or reload left half done",
           "operate", True, 21, request=requests.resume),
    Action("roll-back", "b", "roll back..", ("operations",), "Put back what the selected reload has changed",
           "operate", True, 22, request=requests.roll_back),

    Action("show-services", "h", "services", ("overview-screen",), "The services of the host", footer=25),
    Action("go-overview", "O", "overview", ("fleet", "host", "instance"),
           "What the host runs and has, declared or not"),
    Action("go-outputs", "u", "outputs", ("fleet", "host", "instance", "operations", "events", "overview-screen"),
           "Where lines and samples are sent, how far that has come, what is wrong", footer=48),
    Action("go-backups", "B", "backups", ("fleet", "host", "instance", "operations", "events", "overview-screen"),
           "How well services are protected, snapshots, what they hold", footer=49),
    Action("go-fleet", "f1", "fleet", ("app",), "The fleet"),
    Action("go-operations", "o", "operations", ("fleet", "host", "instance", "events", "overview-screen"),
           "What was changed, by whom, how it went", footer=43),
    Action("go-events", "n", "events", ("fleet", "host", "instance", "operations", "overview-screen"),
           "Everything that was observed, in order", footer=44),
    Action("command", "colon", "go to", ("app",), "Go to a screen, host or service by name", footer=60),
    Action("palette", "ctrl+p", "palette", ("app",), "Everything that can be done here, by name"),
    Action("help", "question_mark", "help", ("app",), "The keys that work here", footer=61),
    Action("next-theme", "T", "theme", ("app",), "The next theme"),
    Action("picture", "ctrl+s", "picture", ("app",), "Write the screen to an SVG file"),
    Action("back", "escape", "back", ("app",), "Back: clear the filter, leave the zoom, leave the screen", footer=62),
    Action("quit", "q,ctrl+q,ctrl+c", "quit", ("app",), "Leave; what runs on the hosts goes on", footer=63),

    Action("replay-pause", "space", "pause", ("replay",), "Pause the replay, or go on", footer=1),
    Action("replay-slower", "less_than_sign", "slower", ("replay",), "Half the speed", footer=2),
    Action("replay-faster", "greater_than_sign", "faster", ("replay",), "Twice the speed", footer=3),
)  # fmt: skip

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}

_SHOWN = {
    "slash": "/", "colon": ":", "question_mark": "?", "plus": "+", "equals_sign": "=", "underscore": "_", "minus": "-",
    "asterisk": "*", "apostrophe": "'", "left_square_bracket": "[", "right_square_bracket": "]", "escape": "esc",
    "less_than_sign": "<", "greater_than_sign": ">", "pageup": "pgup", "pagedown": "pgdn", "up": "↑", "down": "↓",
    "comma": ",", "full_stop": ".", "shift+left": "shift-←", "shift+right": "shift-→",
    "left": "←", "right": "→", "shift+tab": "shift-tab",
}  # fmt: skip


def shown_key(keys: str, every: bool = False) -> str:
    """Keys as a person reads them; the first alone, or every one."""
    names = [_SHOWN.get(key, key.replace("ctrl+", "ctrl-")) for key in keys.split(",")]
    return " ".join(names) if every else names[0]


def bindings(context: str, priority: bool = False) -> list[BindingType]:
    """Textual's bindings of a context. Their ids let a keymap change the keys."""
    return [
        Binding(action.key, action.run, action.label, show=False, id=f"{context}.{action.id}", priority=priority)
        for action in ACTIONS
        if context in action.contexts
    ]


def clashes(keymap: Mapping[str, str], actions: Sequence[Action] = ACTIONS) -> list[str]:
    """Keys that would stand for two things, one line each. `keymap` is by action id."""
    found: dict[str, None] = {}
    for chain in CHAINS:
        taken: dict[str, Action] = {}
        for action in actions:
            if not set(action.contexts) & set(chain):
                continue
            for key in keymap.get(action.id, action.key).split(","):
                other = taken.setdefault(key, action)
                if other is not action:
                    found[f"{shown_key(key)} is bound to {other.id} and to {action.id}"] = None
    return list(found)


def usable(action: Action, targets: Sequence[Target], read_only: bool) -> bool:
    """Whether an action can be done here and now. What changes something is not there at all where only reading is."""
    if action.role == "operate":
        if read_only or any(target.host.info.read_only for target in targets):
            return False
        if action.request and not targets:
            return False
    return action.applies_to(targets)


def for_contexts(contexts: Iterable[str]) -> list[Action]:
    """Actions of these contexts, in the order of the table."""
    here = set(contexts)
    return [action for action in ACTIONS if here & set(action.contexts)]


def docs() -> str:
    """The page of the reference that lists every key, in Markdown."""
    lines = [
        "# Keys of the console",
        "",
        "Made from `bhtui/console/actions.py`. `..` after a label: a plan is shown first.",
        "",
    ]
    for context, title in TITLES.items():
        actions = [action for action in ACTIONS if context in action.contexts]
        if actions:
            lines += [f"## {title}", "", "| key | action | what it does |", "|---|---|---|"]
            lines += [f"| `{shown_key(a.key, every=True)}` | {a.id} | {a.help} |" for a in actions]
            lines.append("")
    return "\n".join(lines)
