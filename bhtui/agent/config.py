"""The configuration in force: what the agent goes by, which is not always what the file on the disk says.

The text in force is kept in the database, so that an agent that was restarted goes on with what it had, and a file that
was edited meanwhile changes nothing until somebody asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bhtui import config
from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store
from bhtui.core.errors import BlackholeError, ConfigError, NotFound
from bhtui.core.event import EventKind
from bhtui.core.spec import Spec

log = logging.getLogger(__name__)

SETTING = "config"


@dataclass(frozen=True, slots=True)
class ConfigText:
    """A configuration as it was written, and where."""

    yaml: str
    path: str


class ConfigInForce:
    """`path` is the file that is read when nobody names another."""

    def __init__(self, store: Store, events: EventLog, path: Path) -> None:
        self._store = store
        self._events = events
        self.path = path
        self.text = ConfigText("", str(path))
        self.spec = Spec()
        self.adopted: list[Callable[[Spec], None]] = []
        """Called with each configuration that is put in force."""
        self.error = ""
        """Why the file on the disk is not in force; empty when nothing is wrong with it."""

    def load(self) -> Spec:
        """At the agent's start: what was in force when it ended; the first time, the file, if there is one."""
        if saved := self._store.setting(SETTING):
            try:
                self.text = ConfigText(saved["yaml"], saved["path"])
                self.spec = _parse(self.text)
                return self.spec
            except ConfigError as error:
                self._refused(error)
        if self.path.exists():
            try:
                spec, text = self.candidate("", "")
                self.adopt(spec, text)
            except BlackholeError as error:
                self._refused(error)
        return self.spec

    def candidate(self, yaml: str, path: str) -> tuple[Spec, ConfigText]:
        """Another configuration, checked and not in force: the given text, or the file at `path`, or the usual file.

        Raises ConfigError with every problem, NotFound when there is no such file.
        """
        text = ConfigText(yaml, path or str(self.path)) if yaml else _read(Path(path) if path else self.path)
        return _parse(text), text

    def adopt(self, spec: Spec, text: ConfigText) -> None:
        """Puts a checked configuration in force."""
        same = spec.digest == self.spec.digest
        self.spec, self.text, self.error = spec, text, ""
        self._store.set_setting(SETTING, {"yaml": text.yaml, "path": text.path})
        if not same:
            message = f"{text.path} is in force: {len(spec.services)} services"
            self._events.append(EventKind.CONFIG_LOADED, text.path, message, {"digest": spec.digest})
        for tell in self.adopted:
            tell(spec)

    def _refused(self, error: BlackholeError) -> None:
        self.error = str(error)
        log.error("the configuration was refused: %s", error)
        self._events.append(EventKind.CONFIG_REFUSED, str(self.path), self.error)


def _read(path: Path) -> ConfigText:
    try:
        return ConfigText(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise NotFound(
            f"cannot read {path}: there is no such file; write one (configs/minimal.yaml is the shortest example) "
            "or name another with --config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BlackholeError(f"cannot read {path}: {error}; correct it, or name another file with --config") from None


def _parse(text: ConfigText) -> Spec:
    return config.parse(text.yaml, text.path, Path(text.path).parent)
