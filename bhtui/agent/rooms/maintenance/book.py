"""What outlives the agent: windows that people opened, declared ones that they closed early, and what was told last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bhtui.agent.memory import Settings

SETTING = "maintenance.windows"


@dataclass(frozen=True, slots=True)
class Entry:
    """A window that was opened at run time. Times are Unix nanoseconds."""

    id: str
    services: tuple[str, ...]
    from_ns: int
    until_ns: int
    actor: str
    reason: str


class WindowBook:
    """Written first, remembered then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        saved = settings.setting(SETTING) or {}
        self.opened: dict[str, Entry] = {each["id"]: entry_from(each) for each in saved.get("opened", ())}
        self.closed: dict[str, int] = dict(saved.get("closed", {}))
        """Declared windows that somebody closed early, and until when."""
        self.told: dict[str, int] = dict(saved.get("told", {}))
        """Windows of which the event log says that they are open, and until when."""

    def open(self, entry: Entry) -> None:
        """Raises StoreUnavailable."""
        self._save(opened={**self.opened, entry.id: entry})

    def remove(self, window: str) -> None:
        """Raises StoreUnavailable."""
        self._save(opened={key: each for key, each in self.opened.items() if key != window})

    def close_early(self, window: str, until_ns: int | None) -> None:
        """A declared window does not count until then; None: it counts again. Raises StoreUnavailable."""
        closed = {key: each for key, each in self.closed.items() if key != window}
        self._save(closed=closed if until_ns is None else {**closed, window: until_ns})

    def tell(self, told: Mapping[str, int], now_ns: int) -> None:
        """What is open now is told; what is over is forgotten. Raises StoreUnavailable."""
        self._save(
            opened={key: each for key, each in self.opened.items() if each.until_ns > now_ns},
            closed={key: until for key, until in self.closed.items() if until > now_ns},
            told=dict(told),
        )

    def _save(
        self,
        opened: dict[str, Entry] | None = None,
        closed: dict[str, int] | None = None,
        told: dict[str, int] | None = None,
    ) -> None:
        opened = self.opened if opened is None else opened
        closed = self.closed if closed is None else closed
        told = self.told if told is None else told
        value = {"opened": [entry_to(each) for each in opened.values()], "closed": closed, "told": told}
        self._settings.set_setting(SETTING, value)
        self.opened, self.closed, self.told = opened, closed, told


def entry_to(entry: Entry) -> dict[str, Any]:
    """As JSON values."""
    return {**asdict(entry), "services": list(entry.services)}


def entry_from(values: Mapping[str, Any]) -> Entry:
    """Back from JSON values."""
    return Entry(**{**values, "services": tuple(values["services"])})
