"""What an action has to be told before it has a plan: one value, typed."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from ..actions import Action, Target
from ..paint import plain
from .confirm import DIALOG, headline


class AskScreen(ModalScreen[Action | None]):
    """Ends with the action that knows its value, or with None."""

    DEFAULT_CSS = DIALOG.format(name="AskScreen") + "AskScreen #about { width: 100%; height: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "cancel")]
    AUTO_FOCUS = "#value"

    def __init__(self, action: Action, targets: list[Target]) -> None:
        super().__init__()
        self.verb, self.targets = action, targets

    def compose(self) -> ComposeResult:
        assert self.verb.asks is not None  # only such come here
        with Vertical() as box:
            box.border_title = plain(headline(self.verb, self.targets))
            yield Label(plain(self.verb.asks.about(self.targets)), markup=False, id="about")
            with Horizontal(classes="field"):
                yield Label(self.verb.asks.label)
                yield Input(placeholder=self.verb.asks.hint, id="value", select_on_focus=False, compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Plan", id="plan", compact=True)

    def on_input_submitted(self) -> None:
        self._take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "plan":
            self._take()
        else:
            self.dismiss(None)

    def _take(self) -> None:
        assert self.verb.asks is not None
        field = self.query_one("#value", Input)
        try:
            self.dismiss(replace(self.verb, request=self.verb.asks.make(field.value.strip()), asks=None))
        except ValueError as error:
            self.query_one("#about", Label).update(plain(str(error)))
            field.focus()
