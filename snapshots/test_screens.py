"""Every screen at the smallest terminal that must work and at a large one, and the moments that matter most."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bhtui.console.app import Console
from bhtui.console.options import Options
from bhtui.console.widgets.canvas import Canvas

from .hosts import NOW
from .world import World

SIZES = ((80, 24), (160, 48))
ASKING = ("plan", "count", "find", "older")
"""Workers whose answer changes the picture."""
SCREENS = {
    "fleet": [],
    "host": ["down", "enter"],
    "host-logs-zoomed": ["down", "enter", "2", "z"],
    "instance": ["down", "enter", "enter"],
    "logs": ["down", "enter", "L"],
    "graphs": ["down", "enter", "V"],
    "operations": ["o"],
    "events": ["n"],
    "outputs": ["u"],
    "backups": ["B"],
    "goto": ["colon", "w", "e"],
    "help": ["down", "enter", "question_mark"],
    "plan": ["down", "enter", "r"],
}
MOMENTS = {
    "stale-host": ["down", "down", "down", "enter"],
    "no-route": ["enter"],
    "plan-of-several-hosts": ["down", "space", "down", "space", "x"],
    "filtered-fleet": ["slash", "w", "e", "b", "enter"],
    "filtered-logs": ["down", "enter", "L", "slash", "s", "l", "o", "w", "enter", "e"],
    "log-fields": ["down", "enter", "L", "slash", "t", "r", "a", "c", "e", "enter", "up", "up", "f"],
    "log-note": ["down", "enter", "L", "up", "up", "N", *"it began here", "enter", "up"],
    "graphs-of-hosts": ["down", "space", "down", "space", "down", "space", "V", "right_square_bracket"],
    "graphs-together-at-a-peak": ["down", "enter", "V", "h", "h", "h", "o", "p"],
    "time-cursor": ["down", "enter", "3", *["left"] * 12],
    "backups-of-a-host": ["down", "enter", "B", "tab", "down", "down"],
    "backup-files": ["down", "enter", "B", "tab", "enter"],
    "backup-differences": ["down", "enter", "B", "tab", "full_stop"],
    "no-backups": ["F", "g", "g", "g", "F", "enter", "4"],
    "failed-operation": ["o", "end"],
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def console(theme: str = "night") -> Console:
    return Console(World(), lambda: NOW, Options(theme=theme, frames=100.0, actor="ada", origin="desk"))


def seen(snap_compare, keys: list[str], size: tuple[int, int], theme: str = "night") -> bool:
    async def play(pilot) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        for field in pilot.app.screen.query("Input"):
            field.cursor_blink = False

    return snap_compare(console(theme), terminal_size=size, run_before=play)


async def settled(pilot, deadline: float = 10.0) -> None:
    """Waits until what a key set going has come to rest: several frames in a row were the same."""
    until = time.monotonic() + deadline
    same, before = 0, None
    while same < 4 and time.monotonic() < until:
        await pilot.pause(pilot.app.frame)
        now = [line for screen in pilot.app.screen_stack for canvas in screen.query(Canvas) for line in canvas.lines]
        asking = any(worker.name in ASKING and not worker.is_finished for worker in pilot.app.workers)
        same, before = (same + 1 if now == before and not asking else 0), now


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_screen(snap_compare, name: str, size: tuple[int, int]) -> None:
    assert seen(snap_compare, SCREENS[name], size)


@pytest.mark.parametrize("name", MOMENTS)
def test_moment(snap_compare, name: str) -> None:
    assert seen(snap_compare, MOMENTS[name], (100, 30))


@pytest.mark.parametrize("name", ["fleet", "host"])
def test_day(snap_compare, name: str) -> None:
    assert seen(snap_compare, SCREENS[name], (100, 30), theme="day")
