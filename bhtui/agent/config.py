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
from bhtui.core.diff import diff
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
    """`path` is the file that is read the first time; later it is the one from which what is in force came."""

    def __init__(self, store: Store, events: EventLog, path: Path) -> None:
        self._store = store
        self._events = events
        self.text = ConfigText("", str(path))
        self.spec = Spec()
        self.adopted: list[Callable[[Spec], None]] = []
        """Called with each configuration that is put in force."""
        self._refusal = ""
        """Why nothing was in force at the start."""
        self._seen: tuple[_Stamp, str] | None = None
        """The file when it was last compared, and what came of that."""

    @property
    def file(self) -> Path:
        """The configuration file: the one that is read when nobody names another."""
        return Path(self.text.path)

    @property
    def error(self) -> str:
        """Why the file on the disk is not in force; empty when it is. The file is read only when it was written."""
        stamp = _stamp(self.file)
        if self._seen is None or self._seen[0] != stamp:
            self._seen = stamp, self._compare()
        return self._seen[1]

    def _compare(self) -> str:
        try:
            changed = self.changed_on_disk()
        except NotFound:
            return self._refusal
        except BlackholeError as error:
            return str(error)
        how = "`blackhole restart --reload-config` applies it"
        return f"{self.file} has changed since it was put in force; {how}" if changed else ""

    def load(self) -> Spec:
        """At the agent's start: what was in force when it ended; the first time, the file, if there is one."""
        if saved := self._store.setting(SETTING):
            text = ConfigText(saved["yaml"], saved["path"])
            try:
                self.spec, self.text = _parse(text), text
                return self.spec
            except ConfigError as error:
                self.text = ConfigText("", text.path)
                self._refused(error)
        if self.file.exists():
            try:
                self.adopt(*self.candidate("", ""))
            except BlackholeError as error:
                self._refused(error)
        return self.spec

    def candidate(self, yaml: str, path: str) -> tuple[Spec, ConfigText]:
        """Another configuration, checked and not in force: the given text, or the file at `path`, or `file`.

        Raises ConfigError with every problem, NotFound when there is no such file.
        """
        text = ConfigText(yaml, path or str(self.file)) if yaml else _read(Path(path) if path else self.file)
        return _parse(text), text

    def changed_on_disk(self) -> tuple[Spec, ConfigText] | None:
        """The file as it is now, checked, when that is another configuration than the one in force.

        Raises ConfigError with every problem, NotFound when the file is gone.
        """
        text = _read(self.file)
        is_in_force = bool(self.spec.digest) and text.yaml == self.text.yaml
        if is_in_force and "env_file" not in text.yaml:
            return None
        spec = _parse(text)
        return (spec, text) if spec.digest != self.spec.digest or diff(self.spec, spec) else None

    def adopt(self, spec: Spec, text: ConfigText) -> None:
        """Puts a checked configuration in force."""
        same = spec.digest == self.spec.digest
        self.spec, self.text, self._refusal, self._seen = spec, text, "", None
        self._store.set_setting(SETTING, {"yaml": text.yaml, "path": text.path})
        if not same:
            message = f"{text.path} is in force: {len(spec.services)} services"
            self._events.append(EventKind.CONFIG_LOADED, text.path, message, {"digest": spec.digest})
        for tell in self.adopted:
            tell(spec)

    def _refused(self, error: BlackholeError) -> None:
        self._refusal = str(error)
        log.error("the configuration was refused: %s", error)
        self._events.append(EventKind.CONFIG_REFUSED, self.text.path, self._refusal)


_Stamp = tuple[int, int, int] | None


def _stamp(path: Path) -> _Stamp:
    """What is another when a file was written or replaced; None: there is none."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _read(path: Path) -> ConfigText:
    try:
        return ConfigText(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        raise NotFound(
            f"cannot read {path}: there is no such file; write one (configs/minimal.yaml is the shortest example) "
            "or name another with --config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BlackholeError(f"cannot read {path}: {error}; correct it, or name another file with --config") from None


def _parse(text: ConfigText) -> Spec:
    return config.parse(text.yaml, text.path, Path(text.path).parent)
