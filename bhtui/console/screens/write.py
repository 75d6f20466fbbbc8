"""One line of text, typed: a note."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from ..paint import crop, plain
from .confirm import DIALOG

_ABOUT = 64
"""Columns of what it is about."""


class WriteScreen(ModalScreen[str | None]):
    """Ends with the text, or with None when it was left."""

    DEFAULT_CSS = DIALOG.format(name="WriteScreen")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "cancel")]
    AUTO_FOCUS = "#text"

    def __init__(self, title: str, about: str, text: str) -> None:
        super().__init__()
        self._heading, self._about, self._text = title, about, text

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._heading
            yield Label(crop(plain(self._about), _ABOUT), markup=False, id="about")
            yield Input(self._text, id="text", select_on_focus=False, compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Keep", id="keep", compact=True)

    def on_input_submitted(self) -> None:
        self._take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "keep":
            self._take()
        else:
            self.dismiss(None)

    def _take(self) -> None:
        self.dismiss(self.query_one("#text", Input).value)
