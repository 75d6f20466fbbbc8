"""The way from a file to core.Spec: join, lay, fill, shape, CHECKS, build. Nothing comes of a file with a fault."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bhtui.core.errors import BlackholeError, ConfigError, NotFound, Problem
from bhtui.core.outputs import OutputSpec
from bhtui.core.spec import ServiceSpec, Spec

from . import envfile, sources
from .checks import CHECKS
from .document import Document
from .faults import Fault
from .layers import Around, lay
from .model import WRAPPED, Config, read_sections
from .services import absolute
from .variables import Filled, fill

PLAIN_GROUPS = frozenset({"limits", "replicas", "ports", "ulimits", "restart", "logging", "umask"})
"""Parts of a service that hold numbers and words of ours: also from a variable they are no secrets."""
RENAMED = {"healthcheck": "probe", "stop_command": "stop", "stop_signal": "stop", "stop_grace_period": "stop"}
"""Parts of a service that core.ServiceSpec calls otherwise."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration without faults, and all that led to it."""

    config: Config
    document: Document
    filled: Filled
    from_files: Mapping[str, Mapping[str, tuple[str, str]]]
    """By service: its variables from env_files, each with its value and `file:line`."""
    text: str
    source: str
    base: Path

    def spec(self) -> Spec:
        """As frozen values."""
        config = self.config
        return Spec(
            services={name: self._service(name) for name in config.services},
            metrics=config.metrics.spec(lambda path: absolute(path, self.base)),
            log_level=config.logging.level,
            log_format=config.logging.format,
            sections={key: self._plain(key) for key in config.given if key not in ("metrics", "performance")},
            digest=hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest(),
            source=self.source,
            outputs=self._outputs(),
            windows=tuple(each.spec() for each in config.maintenance.windows),
            backup=config.backup.spec(lambda path: absolute(path, self.base)),
        )

    def _outputs(self) -> tuple[OutputSpec, ...]:
        logging = self.config.logging
        return tuple(each.spec(lambda path: absolute(path, self.base), logging.format) for each in logging.outputs)

    def _service(self, name: str) -> ServiceSpec:
        from_files = {key: value for key, (value, _) in self.from_files[name].items()}
        tuning = self.config.performance.performance.get(name, {})
        made = self.config.services[name].spec(name, self.base, from_files, self.config.logging, tuning)
        return replace(made, hidden=self.hidden(name))

    def hidden(self, name: str) -> tuple[str, ...]:
        """The service's values that came from variables and env_files, as core.ServiceSpec names them."""
        own = self.config.services[name].environment
        found = {f"environment.{key}" for key in self.from_files[name] if key not in own}
        for path in self.filled.used:
            if path[:2] == ("services", name) and path[2:3] and path[2] not in PLAIN_GROUPS:
                found.add(self._named(path))
            elif path[:2] == ("performance", name):
                found.add(".".join(["tuning", *map(str, path[2:3])]))
        return tuple(sorted(found))

    def _named(self, path: tuple[str | int, ...]) -> str:
        group, key = str(path[2]), path[3] if len(path) > 3 else None
        if group in ("environment", "labels"):
            if isinstance(key, int):  # a list of KEY=VALUE
                key = str(self.document.at(path)).partition("=")[0]
            return f"{group}.{key}"
        return RENAMED.get(group, group)

    def _plain(self, key: str) -> object:
        data = getattr(self.config, key).model_dump(mode="json", by_alias=True)
        return data[key] if key in WRAPPED else data


def load(path: Path, profiles: tuple[str, ...] | None = None, around: Around | None = None) -> Spec:
    """The configuration in the file. Raises core.ConfigError with every problem in it."""
    return read(gather(path, profiles), str(path), path.absolute().parent, around).spec()


def gather(path: Path, profiles: tuple[str, ...] | None = None) -> str:
    """The file and what it includes, as one text. Raises core.ConfigError when it cannot be read."""
    try:
        return sources.gather(path, profiles)
    except NotFound:
        hint = "write one; the smallest is services: {web: {command: [python3, -m, http.server]}}"
        problem = Problem(str(path), 0, 0, "cannot read the configuration: there is no such file", hint)
        raise ConfigError((problem,)) from None
    except BlackholeError as error:
        why = str(error).partition(": ")[2].partition(";")[0]
        raise ConfigError((Problem(str(path), 0, 0, f"cannot read the configuration: {why}"),)) from None


def parse(text: str, source: str, base_dir: Path, around: Around | None = None) -> Spec:
    """The configuration in the text; `source` is what problems call it, relative paths begin at `base_dir`.

    Reads the env_files that it names, and the files that it includes unless it carries them. Raises core.ConfigError
    with every problem.
    """
    return read(text, source, base_dir, around).spec()


def read(text: str, source: str, base_dir: Path, around: Around | None = None) -> Reading:
    """As `parse`, with where everything comes from. Raises core.ConfigError."""
    pack = sources.unpack(text)
    joined = sources.join(pack, base_dir, source)
    if joined.faults and joined.data is None:
        raise _refused(((joined, fault) for fault in joined.faults), source)
    around = around or Around.here(base_dir)
    laid = lay(joined, around, pack.profiles)
    document = laid.document
    filled = fill(document, around.variables)
    config = read_sections(document.data)
    config.switched_off = dict(laid.switched_off)
    from_files, unreadable = _env_files(config, base_dir)
    told = [*config.faults, *(fault for check in CHECKS for fault in check(config))]
    faults = [(joined, fault) for fault in (*joined.faults, *around.faults, *laid.faults)]
    faults += [(document, fault) for fault in (*filled.faults, *(filled.hide(each, document) for each in told))]
    faults += [(document, filled.hide(fault, document)) for fault in unreadable]
    faults += [pair for other in laid.elsewhere for pair in _elsewhere(other, around)]
    if faults:
        raise _refused(faults, source)
    return Reading(config, document, filled, from_files, text, source, base_dir)


def _elsewhere(document: Document, around: Around) -> Iterator[tuple[Document, Fault]]:
    """What is wrong with the shape of what does not hold here. Variables need not be set here for it."""
    filled = fill(document, around.variables)
    for fault in (*filled.faults, *(filled.hide(each, document) for each in read_sections(document.data).faults)):
        at = document.resolve(fault.path)
        if not any(at[: len(path)] == path[: len(at)] for path in filled.unset):
            yield document, fault


def _env_files(config: Config, base: Path) -> tuple[dict[str, dict[str, tuple[str, str]]], list[Fault]]:
    values: dict[str, dict[str, tuple[str, str]]] = {}
    faults: list[Fault] = []
    for name, service in config.services.items():
        values[name] = {}
        for index, file in enumerate(service.env_file):
            found, wrong = envfile.read(Path(absolute(file, base)), ("services", name, "env_file", index))
            values[name].update({key: (value, f"{file}:{line}") for key, (value, line) in found.items()})
            faults += wrong
    return values, faults


def _refused(faults: Iterable[tuple[Document, Fault]], source: str) -> ConfigError:
    problems = {_problem(document, fault, source) for document, fault in faults}
    return ConfigError(tuple(sorted(problems, key=lambda p: (p.file != source, p.file, p.line, p.column, p.message))))


def _problem(document: Document, fault: Fault, source: str) -> Problem:
    line, column = fault.place or document.place(fault.path)
    file = fault.file or ("" if fault.place and not fault.path else document.file(fault.path))
    return Problem(file or source, line, column, fault.message, fault.hint)
