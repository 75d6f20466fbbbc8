"""The line a person types into: a filter, or where to go. Shown only while it is used."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class Prompt(Horizontal):
    """A label and an input in one line above the bottom line."""

    DEFAULT_CSS = """
    Prompt { dock: bottom; height: 1; margin-bottom: 1; display: none; background: $panel; }
    Prompt.-open { display: block; }
    Prompt Label { width: auto; padding: 0 1; color: $accent; text-style: bold; }
    Prompt Input { border: none; height: 1; padding: 0; background: $panel; width: 1fr; }
    Prompt Input:focus { border: none; }
    Prompt #found { color: $text-muted; text-style: none; text-align: right; }
    """

    class Typed(Message):
        """What is in the line now; `done` after enter."""

        def __init__(self, text: str, done: bool) -> None:
            super().__init__()
            self.text, self.done = text, done

    class Closed(Message):
        """Left with escape."""

    def __init__(self) -> None:
        super().__init__()
        self._room = 0
        """Cells for what the text finds."""

    def compose(self) -> ComposeResult:
        yield Label("/")
        yield Input(select_on_focus=False, compact=True)
        yield Label("", id="found", markup=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self, text: str, hint: str = "") -> None:
        """Shows the line with a text in it; the hint while it is empty."""
        self.add_class("-open")
        field = self.query_one(Input)
        field.placeholder = hint
        field.value = text
        field.cursor_position = len(text)
        # At once: what is typed ahead belongs in here.
        self.screen.set_focus(field)

    def tell(self, found: str) -> None:
        """Says at the right what the text finds. Numbers that change many times a second change no layout."""
        label = self.query_one("#found", Label)
        room = len(found) + 2 if found else 0
        if room > self._room or not found:
            self._room = label.styles.width = room
        label.update(found, layout=False)

    def close(self) -> None:
        """Hides the line."""
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Typed(event.value, False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self.post_message(self.Typed(event.value, True))

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.close()
            self.post_message(self.Closed())
