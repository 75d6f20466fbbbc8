"""The configuration in force: what the agent goes by, which is not always what the file on the disk says.

What is in force is kept in the database: the text, with all files that it includes, and the checked values that came of
it. So an agent that was restarted goes on with what it had, whatever has become of files and variables meanwhile, and
what was edited changes nothing until somebody asks for it. Reading a text costs 60 ms and 15 MB (pydantic and PyYAML),
which an agent whose configuration does not change never pays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store
from bhtui.config import sources
from bhtui.core import codec
from bhtui.core.diff import diff
from bhtui.core.errors import BlackholeError, ConfigError, NotFound
from bhtui.core.event import EventKind
from bhtui.core.spec import Spec

log = logging.getLogger(__name__)

SETTING = "config"
ELSEWHERE = ("env_file", "${", "profiles")
"""What makes a configuration depend on more than its own files."""


@dataclass(frozen=True, slots=True)
class ConfigText:
    """A configuration as it was written, and where."""

    yaml: str
    """With what it includes and the chosen profiles, as config.sources packs it."""
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
        self._seen: tuple[list[_Stamp], str] | None = None
        """The files when they were last compared, and what came of that."""

    @property
    def file(self) -> Path:
        """The configuration file: the one that is read when nobody names another."""
        return Path(self.text.path)

    @property
    def error(self) -> str:
        """Why the file on the disk is not in force; empty when it is. The file is read only when it was written."""
        stamps = [_stamp(path) for path in sources.watched(self.text.yaml, self.file)]
        if self._seen is None or self._seen[0] != stamps:
            self._seen = stamps, self._compare()
        return self._seen[1]

    def _compare(self) -> str:
        try:
            if self._seen is None and self.spec.digest and _read(self.file, self._profiles).yaml == self.text.yaml:
                return ""  # at the start; that it was read whole then is all that is asked
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
                self.spec, self.text = _kept(saved) or _parse(text), text
                return self.spec
            except ConfigError as error:
                self._refused(error)
                if from_before := _decoded(saved):  # this version checks more, and what runs is not to pay for it
                    self.spec, self.text = from_before, text
                    return self.spec
                self.text = ConfigText("", text.path)
        if self.file.exists():
            try:
                self.adopt(*self.candidate("", ""))
            except BlackholeError as error:
                self._refused(error)
        return self.spec

    def candidate(self, yaml: str, path: str) -> tuple[Spec, ConfigText]:
        """Another configuration, checked and not in force: the given text, or the file at `path`, or `file`.

        A text that only chooses profiles chooses them for the file. Raises ConfigError with every problem, NotFound
        when there is no such file.
        """
        text = self._text(yaml, path)
        return _parse(text), text

    def _text(self, yaml: str, path: str) -> ConfigText:
        given = sources.unpack(yaml)
        if given.text:
            return ConfigText(yaml, path or str(self.file))
        profiles = given.profiles if given.profiles is not None else self._profiles
        return _read(Path(path) if path else self.file, profiles)

    @property
    def _profiles(self) -> tuple[str, ...] | None:
        """Those that were chosen hold until somebody chooses again."""
        return sources.unpack(self.text.yaml).profiles

    def effective(self, yaml: str, path: str) -> list[tuple[str, Any, str]]:
        """Path, value and origin of everything in a text or file as it would hold here; neither: of what is in force.

        Raises ConfigError, NotFound.
        """
        from bhtui.config.effective import effective
        from bhtui.config.load import read

        text = self._text(yaml, path) if yaml or path else self.text
        reading = read(text.yaml, text.path, Path(text.path).parent)
        return [(each.path, each.value, each.origin) for each in effective(reading)]

    def changed_on_disk(self) -> tuple[Spec, ConfigText] | None:
        """The file as it is now, checked, when that is another configuration than the one in force.

        Raises ConfigError with every problem, NotFound when the file is gone.
        """
        text = _read(self.file, self._profiles)
        is_in_force = bool(self.spec.digest) and text.yaml == self.text.yaml
        if is_in_force and not any(word in text.yaml for word in ELSEWHERE):
            return None
        spec = _parse(text)
        return (spec, text) if spec.digest != self.spec.digest or diff(self.spec, spec) else None

    def adopt(self, spec: Spec, text: ConfigText) -> None:
        """Puts a checked configuration in force."""
        same = spec.digest == self.spec.digest
        self.spec, self.text, self._refusal, self._seen = spec, text, "", None
        kept = {"shape": codec.shape(Spec), "spec": codec.encode(spec)}
        self._store.set_setting(SETTING, {"yaml": text.yaml, "path": text.path, **kept})
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


def _read(path: Path, profiles: tuple[str, ...] | None) -> ConfigText:
    return ConfigText(sources.gather(path, profiles), str(path))


def _parse(text: ConfigText) -> Spec:
    from bhtui.config.load import parse

    return parse(text.yaml, text.path, Path(text.path).parent)


def _kept(saved: dict[str, Any]) -> Spec | None:
    """The checked values; None when another version wrote them, which this one may understand otherwise."""
    return _decoded(saved) if saved.get("shape") == codec.shape(Spec) else None


def _decoded(saved: dict[str, Any]) -> Spec | None:
    """The checked values, whoever wrote them, as far as they can be understood: what is new has its default."""
    try:
        spec: Spec = codec.decode(Spec, saved["spec"])
    except codec.CodecError:
        return None
    return spec
