"""What a service is told at its start: options, else the environment; tuning keys from the environment and a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

PREFIX = "BLACKHOLE_TUNING_"
_T = TypeVar("_T")


class Tuning:
    """Settings by name, as text: BLACKHOLE_TUNING_<KEY>, overridden by a file with one JSON object."""

    def __init__(self, environ: Mapping[str, str], file: Path | None = None) -> None:
        self.base = {key[len(PREFIX) :].lower(): value for key, value in environ.items() if key.startswith(PREFIX)}
        self.file = file
        self.values = self._read()

    def get(self, key: str, parse: Callable[[str], _T], default: _T) -> _T:
        """The setting, or the default. Raises ValueError naming the setting when it cannot be read."""
        if key not in self.values:
            return default
        try:
            return parse(self.values[key])
        except ValueError as error:
            raise ValueError(f"cannot use the setting {key}={self.values[key]!r}: {error}") from None

    def reload(self) -> list[str]:
        """Reads the file again; the keys that changed. Raises ValueError or OSError and leaves all as it was."""
        before, self.values = self.values, self._read()
        return sorted(key for key in before.keys() | self.values.keys() if before.get(key) != self.values.get(key))

    def _read(self) -> dict[str, str]:
        if self.file is None or not self.file.exists():
            return dict(self.base)
        data = json.loads(self.file.read_text())
        if not isinstance(data, dict):
            raise ValueError(f"cannot use {self.file}: it must be one JSON object")
        return self.base | {
            str(key): value if isinstance(value, str) else json.dumps(value) for key, value in data.items()
        }


def switch(text: str) -> bool:
    """`true` or `false`. Raises ValueError."""
    if text not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text == "true"


@dataclass(frozen=True, slots=True)
class Options:
    """The start of one service. `needs` has the addresses of the services it depends on."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    metrics_port: int = 0
    """0: no endpoint."""
    grace: float = 8.0
    """Seconds that ongoing requests have to end when the service stops."""
    token_file: Path | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    tuning: Tuning = field(default_factory=lambda: Tuning({}))
    faults: bool = False


def read(name: str, needs: Sequence[str], argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """From the command line and the environment. Ends the program with exit code 2 when they are wrong."""
    parser = argparse.ArgumentParser(f"python -m bhtui.platform.{name}", allow_abbrev=False)

    def option(flag: str, kind: Callable[[str], object], default: str | None, text: str) -> None:
        variable = "BLACKHOLE_" + flag.strip("-").replace("-", "_").upper()
        value = environ.get(variable, default)
        parser.add_argument(flag, type=kind, default=value, required=value is None, help=f"{text} [{variable}]")

    option("--host", str, "127.0.0.1", "address to listen on")
    option("--port", int, None, "port to listen on; 0: any")
    option("--data", Path, None, "folder of the database; made when it is not there")
    option("--metrics-port", int, "0", "port of the Prometheus endpoint; 0: none")
    option("--grace", float, "8", "seconds that ongoing requests have when stopping")
    option("--settings", Path, "", "file with a JSON object of tuning keys, read again on SIGHUP")
    option("--token-file", Path, "" if not needs else None, "file with the token for the services it depends on")
    for need in needs:
        option(f"--{need}", str, None, f"address of {need}")
    found = parser.parse_args(list(argv))
    try:
        tuning = Tuning(environ, found.settings if found.settings != Path() else None)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return Options(
        data=found.data,
        host=found.host,
        port=found.port,
        metrics_port=found.metrics_port,
        grace=found.grace,
        token_file=found.token_file if found.token_file != Path() else None,
        needs={need: getattr(found, need) for need in needs},
        tuning=tuning,
        faults=environ.get("BLACKHOLE_FAULTS") == "1",
    )
