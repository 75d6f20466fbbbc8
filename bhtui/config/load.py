"""The way from a file to core.Spec: read, shape, CHECKS, build. Nothing comes of a file with a fault in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bhtui.core.errors import ConfigError, Problem
from bhtui.core.spec import MetricsSpec, Spec

from . import envfile
from .checks import CHECKS
from .document import Document, read
from .faults import Fault
from .model import WRAPPED, Config, read_sections
from .services import absolute


def load(path: Path) -> Spec:
    """The configuration in the file. Raises core.ConfigError with every problem in it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "write one; the smallest is services: {web: {command: [python3, -m, http.server]}}"
        raise ConfigError(
            (Problem(str(path), 0, 0, "cannot read the configuration: there is no such file", hint),)
        ) from None
    except OSError as error:
        message = f"cannot read the configuration: {error.strerror}"
        raise ConfigError((Problem(str(path), 0, 0, message),)) from None
    except UnicodeDecodeError as error:
        message = f"cannot read the configuration: byte {error.start} is not UTF-8"
        raise ConfigError((Problem(str(path), 0, 0, message),)) from None
    return parse(text, str(path), path.absolute().parent)


def parse(text: str, source: str, base_dir: Path) -> Spec:
    """The configuration in the text; `source` is what problems call it, relative paths begin at `base_dir`.

    Reads the env_files that it names. Raises core.ConfigError with every problem.
    """
    document = read(text)
    if document.faults and document.data is None:
        raise _refused(document.faults, document, source)
    config = read_sections(document.data)
    from_files, unreadable = _env_files(config, base_dir)
    faults = [*document.faults, *config.faults, *unreadable]
    faults += [fault for check in CHECKS for fault in check(config)]
    if faults:
        raise _refused(faults, document, source)
    return _build(config, from_files, text, source, base_dir)


def _env_files(config: Config, base: Path) -> tuple[dict[str, dict[str, str]], list[Fault]]:
    values: dict[str, dict[str, str]] = {}
    faults: list[Fault] = []
    for name, service in config.services.items():
        values[name] = {}
        for index, file in enumerate(service.env_file):
            found, wrong = envfile.read(Path(absolute(file, base)), ("services", name, "env_file", index))
            values[name].update(found)
            faults += wrong
    return values, faults


def _refused(faults: list[Fault], document: Document, source: str) -> ConfigError:
    problems = {_problem(fault, document, source) for fault in faults}
    return ConfigError(tuple(sorted(problems, key=lambda p: (p.file != source, p.file, p.line, p.column, p.message))))


def _problem(fault: Fault, document: Document, source: str) -> Problem:
    line, column = fault.place or document.place(fault.path)
    return Problem(fault.file or source, line, column, fault.message, fault.hint)


def _build(config: Config, from_files: Mapping[str, dict[str, str]], text: str, source: str, base: Path) -> Spec:
    rotate, tuning = config.logging.rotate.spec(), config.performance.performance
    return Spec(
        services={
            name: service.spec(name, base, from_files[name], rotate, tuning.get(name, {}))
            for name, service in config.services.items()
        },
        metrics=MetricsSpec(config.metrics.listen, config.metrics.history),
        log_level=config.logging.level,
        log_format=config.logging.format,
        sections={key: _plain(config, key) for key in config.given if key not in ("metrics", "performance")},
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        source=source,
    )


def _plain(config: Config, key: str) -> object:
    data = getattr(config, key).model_dump(mode="json", by_alias=True)
    return data[key] if key in WRAPPED else data
