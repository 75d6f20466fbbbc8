"""Go anywhere, do anything, by name: `:` for places, ctrl-p for actions too. And the keys that work here: `?`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input
from typing_extensions import override

from ..actions import TITLES, Action, for_contexts, shown_key
from ..columns.column import GAP, Column, layout
from ..models.match import Query
from ..paint import Line, Spans
from ..widgets.table import Row, Table

_BOX = """
    {name} {{ align: center top; background: $background 60%; }}
    {name} > Vertical {{ width: {width}; max-width: 96%; height: auto; margin-top: 1; background: $surface; }}
    {name} > Vertical {{ border: round $primary; border-title-color: $primary; border-title-style: bold; }}
    {name} Input {{ height: 1; border: none; background: $panel; padding: 0 1; }}
    {name} Input:focus {{ border: none; }}
    {name} Table {{ height: {height}; }}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to go, or something to do."""

    name: str
    kind: str
    about: str
    key: str
    run: Callable[[], None]


PLACES: tuple[Column[Place], ...] = (
    Column("", 22, lambda place, _, __: ((place.name, "strong"),), grow=1, most=30),
    Column("", 9, lambda place, _, __: ((place.kind, "dim"),)),
    Column("", 20, lambda place, _, __: ((place.about, "dim"),), grow=3, most=60, priority=1),
    Column("", 6, lambda place, _, __: ((place.key, "key"),), "right", priority=2),
)


def rank(places: Sequence[Place], text: str) -> list[Place]:
    """Places whose name has the letters in their order; those that begin with them first, then the shortest."""
    wanted = text.lower().replace(" ", "")

    def fits(name: str) -> bool:
        letters = iter(name.lower())
        return all(letter in letters for letter in wanted)

    found = [place for place in places if fits(place.name)]
    return (
        sorted(
            found,
            key=lambda place: (
                not place.name.lower().startswith(wanted),
                wanted not in place.name.lower(),
                len(place.name),
            ),
        )
        if wanted
        else found
    )


T = TypeVar("T")


class BareTable(Table[T]):
    """Rows without column heads."""

    def heads(self) -> int:
        return 0

    @override
    def _head(self, width: int) -> list[Line]:
        return []


class GotoScreen(ModalScreen[Place]):
    """An input and what it finds."""

    DEFAULT_CSS = _BOX.format(name="GotoScreen", width=84, height=14)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("up,ctrl+k", "move(-1)", show=False, priority=True),
        Binding("down,ctrl+j", "move(1)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
    ]
    AUTO_FOCUS = "Input"

    def __init__(self, name: str, places: Sequence[Place]) -> None:
        super().__init__()
        self.title_text, self.places = name, places

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.title_text
            yield Input(placeholder="type a part of its name", select_on_focus=False, compact=True)
            yield PlacesTable(PLACES, empty=lambda _: [Line((("   nothing is called so", "dim"),))])

    def on_mount(self) -> None:
        self._find("")

    def _find(self, text: str) -> None:
        table = self.query_one(PlacesTable)
        table.set_rows([Row(f"{place.kind} {place.name}", place) for place in rank(self.places, text)])
        table.move_to(0)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._find(event.value)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        if (place := self.query_one(PlacesTable).selected) is not None:
            self.dismiss(place)

    def on_table_opened(self) -> None:
        self.dismiss(self.query_one(PlacesTable).selected)

    def action_move(self, by: int) -> None:
        table = self.query_one(PlacesTable)
        index = next((i for i, row in enumerate(table.rows) if row.key == table.cursor_key), 0)
        table.move_to(index + by, by)


class PlacesTable(BareTable[Place]):
    """What is found. The input keeps the focus."""

    can_focus = False


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An action and the keys it is bound to."""

    action: Action
    keys: str


KEYS: tuple[Column[KeyRow], ...] = (
    Column("", 12, lambda row, _, __: ((shown_key(row.keys, every=True), "key"),), "right"),
    Column("", 14, lambda row, _, __: ((row.action.label, "strong"),), priority=1),
    Column("", 30, lambda row, now, width: _help(row, now, width), grow=1, most=110),
)


def _help(row: KeyRow, _now: float, width: int) -> Spans:
    return ((_wrapped(row.action.help, width)[0], "dim"),)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(10, width)) or [""]


def _key_row(action: Action, keys: str, width: int) -> Row[KeyRow]:
    """A row, with what does not fit beneath it."""
    columns = layout(KEYS, width - 5)
    room = columns[-1][1]
    indent = " " * (1 + sum(size + GAP for _, size in columns[:-1]))
    return Row(
        action.id, KeyRow(action, keys), tuple(((indent + more, "dim"),) for more in _wrapped(action.help, room)[1:])
    )


class HelpTable(BareTable[KeyRow]):
    """Keys under the names of the places where they work."""

    contexts = ("table",)


class HelpScreen(ModalScreen[None]):
    """Every key that works where the reader was."""

    DEFAULT_CSS = _BOX.format(name="HelpScreen", width=110, height="1fr") + "HelpScreen > Vertical { height: 94%; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", show=False, priority=True),
    ]
    AUTO_FOCUS = "HelpTable"

    def __init__(
        self, contexts: Sequence[str], key_of: Callable[[Action], str], hidden: Callable[[Action], bool]
    ) -> None:
        super().__init__()
        self.here, self.key_of, self.hidden = contexts, key_of, hidden

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "keys that work here"
            box.border_subtitle = "esc"
            yield HelpTable(KEYS)

    def on_mount(self) -> None:
        self.query_one(HelpTable).set_rows(
            help_rows(self.here, self.key_of, self.hidden, min(110, self.app.size.width * 96 // 100))
        )


def help_rows(
    contexts: Sequence[str], key_of: Callable[[Action], str], hidden: Callable[[Action], bool], width: int
) -> list[Row[KeyRow]]:
    """Headings and actions, innermost first, each action once."""
    rows: list[Row[KeyRow]] = []
    seen: set[str] = set()
    for context in contexts:
        actions = [one for one in for_contexts([context]) if one.id not in seen and not hidden(one)]
        seen |= {one.id for one in actions}
        if actions:
            rows.append(Row(f"# {context}", None, heading=((f"  {TITLES[context].upper()}", "title"),)))
            rows += [_key_row(one, key_of(one), width) for one in actions]
    return rows


__all__ = ["GotoScreen", "HelpScreen", "Place", "Query", "help_rows", "rank"]
