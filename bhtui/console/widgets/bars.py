"""The first and the last line of every screen."""

from __future__ import annotations

from textual import events
from typing_extensions import override

from ..actions import Action, shown_key
from ..models.trouble import SIGN, Level
from ..paint import Line, Span, Spans, fit, justify, plain, width_of
from .canvas import Canvas

_HELP_ROOM = len("? help  ")
_GAP = 2
_FACTS_ROOM = 12
"""Columns that the facts beside the breadcrumb keep when much is wrong: how the connection is."""


class TopLine(Canvas):
    """Where I am, how the connection is, what is worst, what time it is."""

    DEFAULT_CSS = "TopLine { dock: top; height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.path: tuple[str, ...] = ()
        self.facts: Spans = ()
        self.state: Spans = ()

    def tell(self, path: tuple[str, ...], facts: Spans, state: Spans) -> None:
        """Shows the breadcrumb, facts beside it, and what goes at the right before the clock."""
        self.path, self.facts, self.state = path, facts, state
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        left: list[Span] = [(" ", "")]
        for place, name in enumerate(self.path):
            left.append((" › " if place else "", "dim"))
            left.append((plain(name), "accent" if place == len(self.path) - 1 else "dim"))
        app = self.console_app
        marks: list[Span] = [(f" REPLAY {app.replaying} ", "badge-warn"), ("  ", "")] if app.replaying else []
        marks += [("read-only", "mark"), ("  ", "")] if app.read_only else []
        time: Spans = (("  ", ""), (app.clock_text(), "strong"), (" ", ""))
        # Where one is and the time are always there; a long trouble is cut, and facts have what is left.
        facts: Spans = (("   ", ""), *self.facts) if self.facts else ()
        room = width - width_of((*left, *marks, *time)) - _GAP
        state = self.state
        if width_of(state) > (most := max(0, room - min(width_of(facts), _FACTS_ROOM))):
            state = fit(state, most)
        if width_of(facts) > (rest := max(0, room - width_of(state))):
            facts = fit(facts, rest)
        return [Line(justify((*left, *facts), (*marks, *state, *time), width), "bar")]


class BottomLine(Canvas):
    """The keys that work here, now, and the result of the last act."""

    DEFAULT_CSS = "BottomLine { dock: bottom; height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[tuple[Action, str]] = []
        self.result: Span = ("", "")
        self._places: list[tuple[int, int, Action]] = []

    def tell(self, actions: list[tuple[Action, str]], result: Span) -> None:
        """Shows these actions with the keys they are bound to, and a result."""
        self.actions, self.result = actions, result
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        text, style = self.result
        right: Spans = ((" " + plain(text) + " ", style),) if text else ()
        if width_of(right) > (most := max(0, width - _HELP_ROOM - 3)):
            right = fit(right, most)
        room = width - width_of(right) - (3 if right else 1)
        spans: list[Span] = [(" ", "")]
        x = 1
        self._places = []
        for action, keys in self.actions:
            key, label = shown_key(keys), action.label
            size = len(key) + 1 + len(label)
            # The way to all the other keys is always there.
            if x + size > room - (0 if action.id == "help" else _HELP_ROOM):
                continue
            self._places.append((x, x + size, action))
            spans += [("  " if self._places[1:] else "", ""), (key, "key"), (" " + label, "dim")]
            x += size + 2
        return [Line(justify(tuple(spans), right, width), "bar")]

    async def on_click(self, event: events.Click) -> None:
        for start, end, action in self._places:
            if start <= event.x < end:
                await self.console_app.run_here(action)


def worst_badge(level: Level, text: str) -> Spans:
    """The worst that is wrong, as it stands in the top line."""
    if level < Level.WARN:
        return (
            (
                f"{SIGN[Level.FINE]} all well" if level == Level.FINE else f"{SIGN[level]} {text}",
                "ok" if level == Level.FINE else "notice",
            ),
        )
    return ((f" {SIGN[level]} {plain(text)} ", "badge-bad" if level is Level.BAD else "badge-warn"),)
