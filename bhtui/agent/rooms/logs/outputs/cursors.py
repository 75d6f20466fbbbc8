"""Where each output is in the files of each instance, kept across restarts: one small JSON file an output.

Written beside and renamed, with an fsync before: after a power cut there is either the old place or the new one. A
place that is too old means lines sent twice, never a line lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NEEDED = {"ino": int, "head": str, "offset": int, "order_ns": int, "done": list}


class CursorError(Exception):
    """The file is there and cannot be used."""


class Cursors:
    """The places of one output, by `<service>/<instance>`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"

    def load(self) -> dict[str, dict[str, Any]] | None:
        """None: this output has never kept a place. Raises CursorError for a file that is damaged."""
        try:
            found = json.loads(self.path.read_bytes())
            places = found["places"]
            for place in places.values():
                if any(not isinstance(place[key], kind) for key, kind in _NEEDED.items()):
                    raise CursorError("a place in it is not whole")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CursorError((error.strerror or str(error)).lower()) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CursorError("it is not what was written") from error
        return dict(places)

    def save(self, places: Mapping[str, Mapping[str, Any]]) -> None:
        """Raises OSError, having left what was there before."""
        fresh = self.path.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:
            json.dump({"version": 1, "places": dict(places)}, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self.path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
