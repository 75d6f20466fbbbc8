"""The console on a recording: the same screens, and keys for the speed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from .actions import bindings
from .app import Console
from .options import Options
from .sources.replay import Replay


class ReplayConsole(Console):
    """bhtui --replay."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("replay", priority=True)

    def __init__(self, replay: Replay, options: Options) -> None:
        super().__init__(replay, replay.now, options)
        self.replay = replay
        self.read_only = True
        self.replaying = replay.describe()

    def _show(self) -> None:
        self.replaying = self.replay.describe()
        self.refresh_soon()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._show)

    def action_replay_pause(self) -> None:
        self.replay.pause()
        self._show()

    def action_replay_slower(self) -> None:
        self.replay.faster(-1)
        self._show()

    def action_replay_faster(self) -> None:
        self.replay.faster(1)
        self._show()
