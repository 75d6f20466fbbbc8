"""Hosts on which nothing is declared: the fleet, what runs there, one thing, and how it becomes a service."""

from __future__ import annotations

import pytest

from bhtui.console.app import Console
from bhtui.console.options import Options

from .bare import BareWorld
from .hosts import NOW
from .test_screens import SIZES, settled, utc

__all__ = ["utc"]

SCREENS = {
    "bare-fleet": [],
    "overview": ["enter"],
    "overview-thing": ["enter", "enter"],
    "adopt": ["enter", "3", "down", "a"],
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_bare(snap_compare, name: str, size: tuple[int, int]) -> None:
    async def play(pilot) -> None:
        await settled(pilot)
        for key in SCREENS[name]:
            await pilot.press(key)
            await settled(pilot)
        for field in pilot.app.screen.query("Input"):
            field.cursor_blink = False

    app = Console(BareWorld(), lambda: NOW, Options(frames=100.0, actor="ada", origin="desk"))
    assert snap_compare(app, terminal_size=size, run_before=play)
