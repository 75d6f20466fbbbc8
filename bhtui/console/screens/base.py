"""What every screen has: the top line, the bottom line, the prompt, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from ..actions import BY_ID, Action, Target, usable
from ..models.trouble import Level
from ..paint import Spans
from ..widgets.bars import BottomLine, TopLine, worst_badge
from ..widgets.prompt import Prompt

if TYPE_CHECKING:
    from ..app import Console


class BaseScreen(Screen[None]):
    """A whole-terminal screen. A subclass yields its body and draws its models in `show`."""

    contexts: tuple[str, ...] = ()
    AUTO_FOCUS: ClassVar[str | None] = None

    _filter = ""

    @property
    def console_app(self) -> Console:
        return cast("Console", self.app)

    def body(self) -> Iterable[Widget]:
        """The widgets between the first and the last line."""
        return ()

    def compose(self) -> ComposeResult:
        yield TopLine()
        yield from self.body()
        yield BottomLine()
        yield Prompt()

    def show(self) -> None:
        """Draws the models as they are now."""

    def path(self) -> tuple[str, ...]:
        """The breadcrumb."""
        return ("fleet",)

    def facts(self) -> Spans:
        """What stands beside the breadcrumb."""
        return ()

    def worst(self) -> tuple[Level, str]:
        """What the badge in the top line says."""
        return self.console_app.fleet.worst(self.console_app.now())

    def targets(self) -> list[Target]:
        """What an action would act on now."""
        return []

    def offers(self, action: Action) -> bool:  # noqa: ARG002 - for subclasses
        """Whether an action makes sense for what is selected."""
        return True

    def filter_text(self) -> str:
        """The filter that is set."""
        return self._filter

    def set_filter(self, text: str) -> None:
        """Takes a filter, and shows what passes."""
        self._filter = text
        self.refresh_view()

    def filter_help(self) -> str:
        """What stands in the empty prompt."""
        return 'words are regular expressions, !word must not be there, "two words" are one'

    def filter_result(self) -> str:
        """What the filter finds, told while it is typed."""
        return ""

    def refresh_prompt(self) -> None:
        """Tells what the filter finds now."""
        prompt = self.query_one(Prompt)
        if prompt.is_open:
            prompt.tell(self.filter_result())

    def refresh_view(self) -> None:
        """Draws everything that may have changed."""
        if not self.is_mounted or not self.children:  # not there yet, or gone while a task of it ends
            return
        self.show()
        self.query_one(TopLine).tell(self.path(), self.facts(), worst_badge(*self.worst()))
        self.refresh_prompt()
        self.refresh_footer()

    def refresh_footer(self) -> None:
        """Draws the bottom line for what has the focus; beneath a dialog it stays as it was."""
        app = self.console_app
        if app.screen is not self:
            return
        if self.query_one(Prompt).is_open:  # keys are typed into it
            self.query_one(BottomLine).tell([], ("enter keeps the filter, esc clears it", "dim"))
            return
        self.query_one(BottomLine).tell(app.footer_actions(), app.result())

    def on_mount(self) -> None:
        self.refresh_view()

    def on_descendant_focus(self) -> None:
        self.refresh_footer()

    def on_screen_resume(self) -> None:
        self.refresh_view()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Actions that change something are not there where only reading is allowed."""
        if action == "operate" and parameters:
            return usable(BY_ID[str(parameters[0])], self.targets(), self.console_app.read_only)
        return super().check_action(action, parameters)

    def action_operate(self, name: str) -> None:
        self.console_app.operate(BY_ID[name], self.targets())

    def action_filter(self) -> None:
        self.query_one(Prompt).open(self.filter_text(), self.filter_help())
        self.refresh_prompt()

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        self.set_filter(event.text)
        self.refresh_prompt()
        if event.done:
            self.focus_back()

    def on_prompt_closed(self, _: Prompt.Closed) -> None:
        self.set_filter("")
        self.focus_back()

    def focus_back(self) -> None:
        """Gives the focus back after the prompt."""

    def action_back(self) -> None:
        if self.filter_text():
            self.set_filter("")
        elif len(self.app.screen_stack) > 2:
            at = self.moment()
            self.app.pop_screen()
            if isinstance(self.console_app.screen, BaseScreen):
                self.console_app.screen.take_moment(at)

    def moment(self) -> float | None:
        """The time that is looked at here, Unix seconds; None: none, or the newest."""
        return None

    def take_moment(self, at: float | None) -> None:
        """Back from a screen where this time was looked at."""

    def action_go_operations(self) -> None:
        self.console_app.go("operations")

    def action_go_overview(self) -> None:
        self.console_app.go("overview")

    def action_go_backups(self) -> None:
        self.console_app.go("backups")

    def action_go_outputs(self) -> None:
        self.console_app.go("outputs")

    def action_go_events(self) -> None:
        self.console_app.go("events")
