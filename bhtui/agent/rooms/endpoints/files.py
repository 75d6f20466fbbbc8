"""The files that say where each service can be reached: `<service>.env` and `<service>.json`, each written whole."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from bhtui.core.endpoint import Endpoint, to_env, to_json


class Files:
    """In one folder; whoever reads a file sees one state, never half of two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: dict[str, str] = {}

    def path(self, service: str) -> Path:
        """The JSON file of a service."""
        return self.folder / f"{service}.json"

    def ready(self) -> frozenset[str]:
        """The addresses that the files call ready, whoever wrote them; what cannot be read says nothing."""
        found: set[str] = set()
        for file in self.folder.glob("*.json"):
            try:
                found.update(map(str, json.loads(file.read_text())["ready"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return frozenset(found)

    def write(self, service: str, endpoints: Sequence[Endpoint]) -> None:
        """Writes both files, unless they say the same already. Raises OSError."""
        text = json.dumps(to_json(service, endpoints)) + "\n"
        if self._written.get(service) == text:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(self.folder / f"{service}.env", to_env(service, endpoints))
        _replace(self.path(service), text)
        self._written[service] = text

    def keep_only(self, services: Collection[str]) -> None:
        """Removes the files of services that are not there any more. Raises OSError."""
        if not self.folder.is_dir():
            return
        for file in self.folder.iterdir():
            if file.suffix in (".env", ".json", ".new") and file.name.partition(".")[0] not in services:
                file.unlink(missing_ok=True)
                self._written.pop(file.stem, None)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)
