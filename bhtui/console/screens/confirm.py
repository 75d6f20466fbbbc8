"""Nothing dangerous without a plan: what will run, what else will be noticed, and Cancel unless told otherwise."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label
from typing_extensions import override

from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_age
from bhtui.rpc.blackhole.v1 import operations_pb2

from ..actions import Action, Target
from ..paint import Line, Spans, plain, wrap
from ..widgets.canvas import Canvas

if TYPE_CHECKING:
    from ..app import Console

_ID = re.compile("[0-9a-f]{32}(?:[0-9a-f]{32})?")
"""The whole id of an operation or of a snapshot."""

DIALOG = """
    {name} {{ align: center middle; background: $background 60%; }}
    {name} > Vertical {{ width: 76; max-width: 96%; height: auto; max-height: 94%; padding: 0 1; }}
    {name} > Vertical {{ background: $surface; border: round $primary; }}
    {name} > Vertical {{ border-title-color: $primary; border-title-style: bold; }}
    {name} .buttons {{ height: 1; align-horizontal: right; margin-top: 1; }}
    {name} Button {{ height: 1; min-width: 12; border: none; margin-left: 2; }}
    {name} Button {{ background: $panel; color: $foreground; text-style: none; }}
    {name} Button:focus {{ background: $primary; color: $background; text-style: bold; }}
    {name} Button.danger {{ color: $error; }}
    {name} Button.danger:focus {{ background: $error; color: $background; }}
    {name} Button:disabled {{ color: $text-muted; opacity: 60%; }}
    {name} Input {{ height: 1; border: none; padding: 0 1; background: $panel; }}
    {name} Input:focus {{ border: none; background: $boost; }}
    {name} .field {{ height: 1; margin-top: 1; }}
    {name} .field Label {{ width: auto; min-width: 13; color: $text-muted; padding-right: 1; }}
"""


class ConfirmScreen(ModalScreen[bool]):
    """A question whose answer is no unless told otherwise."""

    DEFAULT_CSS = DIALOG.format(name="ConfirmScreen")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(False)", "no")]
    AUTO_FOCUS = "#no"

    def __init__(self, question: str, detail: str, yes: str) -> None:
        super().__init__()
        self.question, self.detail, self.yes = question, detail, yes

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = plain(self.question)
            yield Label(self.detail, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Leave it", id="no", compact=True)
                yield Button(self.yes, id="yes", classes="danger", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


@dataclass(frozen=True, slots=True)
class Planned:
    """What one host said it would run, or why it would not."""

    target: Target
    plan: operations_pb2.OperationPlan | None
    error: str = ""


class PlanBody(Canvas):
    """The plan in words."""

    DEFAULT_CSS = "PlanBody { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.text: Sequence[Line] = (Line((("asking the hosts what would run ...", "dim"),)),)
        self._top = 0

    def say(self, lines: Sequence[Line], room: int) -> None:
        """Shows lines, and grows to hold them, up to `room`."""
        self.text = lines
        self.styles.height = max(1, min(len(lines), room))
        self.repaint()

    def scroll_lines(self, by: int) -> None:
        """Shows what is further down or up."""
        self._top = max(0, min(self._top + by, len(self.text) - self.size.height))
        self.repaint()

    @override
    def draw(self, width: int, height: int) -> list[Line]:
        shown = list(self.text[self._top : self._top + height])
        below = len(self.text) - self._top - len(shown)
        if self._top:
            shown[0] = _more(self._top + 1, "above: ↑")
        if below:
            shown[-1] = _more(below + 1, "more: ↓")
        return [Line(line.spans, "dialog") for line in shown]


def _more(count: int, where: str) -> Line:
    return Line(((f"… {count} lines {where}", "accent"),))


class PlanScreen(ModalScreen["tuple[list[Target], str] | None"]):
    """Shows the plan of an action on targets. Ends with the targets to go on with and the reason, or with None."""

    DEFAULT_CSS = DIALOG.format(name="PlanScreen")
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "cancel"),
        ("up", "scroll_plan(-1)", "up"),
        ("down", "scroll_plan(1)", "down"),
        ("pageup", "scroll_plan(-8)", "page up"),
        ("pagedown", "scroll_plan(8)", "page down"),
    ]
    AUTO_FOCUS = "#cancel"

    def __init__(self, action: Action, targets: list[Target]) -> None:
        super().__init__()
        self.verb, self.targets = action, targets
        self.planned: list[Planned] = []
        self.to_type = _typed_word(targets)

    @property
    def console_app(self) -> Console:
        return cast("Console", self.app)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = plain(headline(self.verb, self.targets))
            yield PlanBody()
            with Horizontal(classes="field first"):
                yield Label("reason")
                yield Input(
                    placeholder="why; kept with the operation", id="reason", select_on_focus=False, compact=True
                )
            if self.to_type:
                with Horizontal(classes="field"):
                    yield Label(f"type “{self.to_type}” to confirm", markup=False)
                    yield Input(id="typed", select_on_focus=False, compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                where = " on PRODUCTION" if self.to_type else ""
                yield Button(
                    f"{words(self.verb).capitalize()}{where}",
                    id="go",
                    classes="danger" if self.verb.dangerous else "",
                    disabled=True,
                    compact=True,
                )

    def on_mount(self) -> None:
        self.run_worker(self._ask(), name="plan", exclusive=True)

    async def _ask(self) -> None:
        self.planned = list(await asyncio.gather(*map(self._plan, self.targets)))
        width = min(76, self.app.size.width * 96 // 100) - 4
        room = self.app.size.height - (13 if self.to_type else 11)
        lines = plan_lines(self.planned, width)
        self.query_one(PlanBody).say(lines, room)
        self._check()

    async def _plan(self, target: Target) -> Planned:
        assert self.verb.request is not None  # only operations come here
        try:
            return Planned(
                target, await self.console_app.backend.plan(target.host.name, self.verb.request(target.services))
            )
        except BlackholeError as error:
            return Planned(target, None, str(error))

    def _check(self) -> None:
        possible = any(one.plan is not None and one.plan.steps and not one.plan.conflicts for one in self.planned)
        typed = not self.to_type or self.query_one("#typed", Input).value.strip() == self.to_type
        self.query_one("#go", Button).disabled = not (possible and typed)

    def on_input_changed(self, _: Input.Changed) -> None:
        self._check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        following = {"reason": "#typed" if self.to_type else "#cancel", "typed": "#go"}[str(event.input.id)]
        self.query_one(following).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id != "go":
            self.dismiss(None)
            return
        going = [
            one.target for one in self.planned if one.plan is not None and one.plan.steps and not one.plan.conflicts
        ]
        self.dismiss((going, self.query_one("#reason", Input).value.strip()))

    def action_scroll_plan(self, by: int) -> None:
        self.query_one(PlanBody).scroll_lines(by)

    def action_leave(self) -> None:
        self.dismiss(None)


def _typed_word(targets: Sequence[Target]) -> str:
    """What must be typed: the production host, or how many there are."""
    production = [target.host.name for target in targets if target.host.info.production]
    return "" if not production else production[0] if len(targets) == 1 else f"{len(targets)} hosts"


def headline(action: Action, targets: Sequence[Target]) -> str:
    """`scale api on web-1`: what a dialog is about."""
    if len(targets) == 1:
        services = " ".join(map(_short, targets[0].services)) or "everything"
        return f"{words(action)} {services} on {targets[0].host.name}"
    return f"{words(action)} on {len(targets)} hosts"


def _short(name: str) -> str:
    """A name; of a snapshot or an operation as much of its id as lists show."""
    return name[:8] if _ID.fullmatch(name) else name


def words(action: Action) -> str:
    """Its name for reading: `roll back`."""
    return action.id.replace("-", " ")


def plan_lines(planned: Sequence[Planned], width: int) -> list[Line]:
    """Plans as lines: all steps for one host, a summary for each of several."""
    if len(planned) == 1:
        return _whole(planned[0], width)
    lines: list[Line] = []
    for one in planned:
        name = one.target.host.name.ljust(14)
        if one.plan is None:
            lines.append(Line(((f"✗ {name}", "bad"), (plain(one.error), "bad"))))
        elif one.plan.conflicts:
            lines.append(Line(((f"! {name}", "warn"), (f"busy with operation {one.plan.conflicts[0][:8]}", "warn"))))
        else:
            what = " ".join(one.plan.targets)
            steps = f"{len(one.plan.steps)} steps".ljust(10)
            lines.append(Line(((f"✓ {name}", "strong"), (steps, ""), (plain(what), "dim"))))
    return lines


def _whole(one: Planned, width: int) -> list[Line]:
    if one.plan is None:
        return [Line(((piece, "bad"),)) for piece in wrap(plain(one.error), width)]
    plan = one.plan
    lines = [Line(_step(number, step, plan)) for number, step in enumerate(plan.steps, 1)]
    if not plan.steps:
        lines.append(Line((("nothing to do: everything is as it would be", "dim"),)))
    lines += _document(plan.document, width)
    lines.append(Line())
    for number, effect in enumerate(plan.effects):
        for part, piece in enumerate(wrap(plain(effect), width - 13)):
            lines.append(Line((("effects      " if not number and not part else " " * 13, "dim"), (piece, "warn"))))
    blocked = [f"operation {conflict[:8]} holds what this needs; wait or cancel it" for conflict in plan.conflicts]
    lines += [Line((("blocked      ", "bad"), (text, "bad"))) for text in blocked]
    undo = "what was done is undone, last first" if plan.undo_on_failure else "it stops there; nothing is undone"
    lines.append(Line((("if it fails  ", "dim"), (undo, ""))))
    lines.append(Line((("last time    ", "dim"), (_recent(list(plan.recent_seconds)), ""))))
    return lines


def _document(text: str, width: int) -> list[Line]:
    """What would be written, to the letter; a long line goes on below itself."""
    lines: list[Line] = []
    for written in text.splitlines():
        for part, piece in enumerate(wrap(plain(written), width - 4)):
            style = "dim" if written.lstrip().startswith("#") else "link"
            lines.append(Line((("  ┆ " if not part else "  ┆   ", "faint"), (piece, style))))
    return lines


def _step(number: int, step: operations_pb2.PlanStep, plan: operations_pb2.OperationPlan) -> Spans:
    together = number > 1 and list(step.after) == list(plan.steps[number - 2].after)
    after = "with the step before" if together else ""
    return (
        (f"{number:>2}  ", "dim"),
        (plain(step.title or f"{step.kind} {step.target}"), "strong"),
        (f"   {after}" if after else "", "faint"),
    )


def _recent(seconds: Sequence[float]) -> str:
    if not seconds:
        return "this host has no record of it"
    newest = f"{seconds[0]:.1f} s" if seconds[0] < 100 else format_age(seconds[0])
    if len(seconds) == 1:
        return f"took {newest}"
    return f"took {newest} ({len(seconds)} times, {min(seconds):.1f} to {max(seconds):.1f} s)"
