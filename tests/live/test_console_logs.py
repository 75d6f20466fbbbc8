"""The log screen on a real agent: what is not loaded is found, counted, filtered and read from its files."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bhtui.console.app import Console
from bhtui.console.main import live_backend
from bhtui.console.options import Options
from bhtui.console.panes.logs import LogPane
from bhtui.console.screens.logs import LogScreen
from bhtui.ssh.inventory import LOCAL, Host
from tests.live.home import MARK, home
from tests.waiting import eventually

LINES = 30_000
WRITER = f"""
import json, sys, time
for n in range({LINES}):
    level, status = ("error", 503) if n == 700 else ("info", 200)
    print(json.dumps({{"level": level, "msg": f"served {{n}}", "status": status}}))
    if n == 699:  # so that the error has a moment of its own
        sys.stdout.flush()
        time.sleep(0.2)
sys.stdout.flush()
time.sleep(3600)
"""


async def test_an_error_far_back_is_found_and_nothing_between_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = tmp_path / "writer.py"
    writer.write_text(WRITER)
    with home(f"services: {{api: {{command: [python3, {writer}]}}}}\n") as here:
        here.cli("start")
        monkeypatch.setenv(MARK, str(here.path))
        app = Console(live_backend((Host(LOCAL),)), time.time, Options(crash_file=tmp_path / "crash"))
        async with app.run_test(size=(120, 30)) as pilot:
            await eventually(lambda: app.host(LOCAL).fresh(time.time()), 60, "the agent is seen")
            app.go_logs([LOCAL], "")
            await eventually(lambda: isinstance(app.screen, LogScreen) and bool(app.screen.query(LogPane)), 20)
            pane = app.screen.query_one(LogPane)
            written = f"served {LINES - 1}"
            await eventually(lambda: bool(pane.model.shown) and written in pane.model.shown[-1].message, 60, written)
            await pilot.press("0")
            await eventually(lambda: 0 < len(pane.model.entries) < LINES // 2, 20, "the tail alone")
            await eventually(lambda: pane.past is not None, 30, "the agent has counted")
            assert sum(column.total for column in pane.strip_columns(60)) == LINES

            await pilot.press("E")
            await eventually(lambda: pane.cursor is not None and "served 700" in pane.cursor.message, 30, "found")
            assert len(pane.model.entries) < LINES // 2
            before = len(pane.model.entries)
            await pilot.press(*["pagedown"] * 3)
            await eventually(lambda: pane.cursor is not None and "served 7" in pane.cursor.message, 20)
            assert len(pane.model.entries) <= before + 6000, "what is not read yet waits at the host"

            await pilot.press("end")
            await eventually(lambda: pane.follow and bool(pane.model.shown), 20)
            await pilot.press("7", "slash", *"status>=500", "enter")
            await eventually(lambda: [one.rank for one in pane.model.shown] == [5] and pane.caught_up, 30, "one passes")
            assert len(pane.model.entries) == 1
            assert pane.looked_at == LINES
